using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

/// <summary>Maps built upon the maps of earlier points. The chunks are names only, so that a volume of a tebibyte is small.</summary>
public sealed class BaseImageTests
{
    private const string Volume = "disk";

    [Fact]
    public async Task A_map_built_upon_another_is_the_map_that_would_be_written_whole_and_stores_only_what_differs()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        for (int round = 0; round < 40; round++)
        {
            long count = random.NextInt64(1, 1L << random.Next(1, 20));
            Dictionary<long, ChunkId> then = RandomChunks(random, count, random.Next(300));
            RecoveryPoint point = await WriteWholeAsync(vault, count, then);
            Alteration alteration = Alteration.Random(random, count, then);
            (ChunkId root, long pages, BlockBitmap differing) = await WriteUponAsync(vault, point.Id, count, alteration);
            Assert.Equal(PagesOver(count, alteration.Differing(then), alteration.Now), pages);
            Assert.Equal(alteration.Differing(then).Order(), SetBits(differing));
            Assert.Equal((await WriteWholeAsync(vault, count, alteration.Now)).Volumes[0].Root, root);
        }
    }

    [Fact]
    public async Task From_a_gibibyte_to_a_tebibyte_the_same_change_reads_and_stores_the_same_pages_but_one_for_each_level()
    {
        Random random = TestSeed.NewRandom();
        const int Chunks = 64 * 1024; // a gibibyte of chunks of 16 KiB
        Dictionary<long, ChunkId> then = RandomChunks(random, Chunks, 3000);
        Alteration alteration = Alteration.Random(random, Chunks, then);
        List<(int Levels, int Read, long Stored)> seen = [];
        for (long count = Chunks; count <= 1024L * Chunks; count *= 32)
        {
            MemoryStore store = new();
            await using BackupVault first = await CreateAsync(store);
            RecoveryPoint point = await WriteWholeAsync(first, count, then);
            CountingStore counting = new(store);
            await using BackupVault vault = await OpenAsync(counting);
            int before = counting.Reads;
            (_, long pages, _) = await WriteUponAsync(vault, point.Id, count, alteration);
            seen.Add((new MapTree(count).TopLevel, counting.Reads - before, pages));
        }

        (int levels, int read, long stored) = seen[0];
        Assert.True(stored > 10);
        Assert.InRange(read, 1, stored + levels + alteration.Leaves); // leaves that turn out to be as before are read too
        Assert.All(seen, other => Assert.Equal((read + other.Levels - levels, stored + other.Levels - levels), (other.Read, other.Stored)));
    }

    [Fact]
    public async Task A_point_that_is_forgotten_damaged_or_of_another_volume_is_no_base_and_the_session_says_why()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        RecoveryPoint forgotten = await WriteWholeAsync(vault, 10, []);
        RecoveryPoint damaged = await WriteWholeAsync(vault, 10, []);
        RecoveryPoint sound = await WriteWholeAsync(vault, 10, []);
        await OtherHand.ForgetAsync(store, forgotten.Id);
        await RootCopies.DeleteAsync(store, ObjectNames.Point(damaged.Id), Token);
        await using BackupSession session = await vault.BeginAsync("host", Token);
        Assert.Contains("does not hold point", WhyNot(session, forgotten.Id), StringComparison.Ordinal);
        Assert.Contains("is damaged", WhyNot(session, damaged.Id), StringComparison.Ordinal);
        Assert.Contains("holds no volume other", WhyNot(session, sound.Id, "other"), StringComparison.Ordinal);
        Assert.True(session.TryFindBase(sound.Id, Volume, out _, out _));
    }

    [Fact]
    public async Task While_a_collection_is_under_way_only_points_that_saw_it_are_bases()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        RecoveryPoint before = await WriteWholeAsync(vault, 10, []);
        await OtherHand.CondemnNothingAsync(store, 1);
        RecoveryPoint during = await WriteWholeAsync(vault, 10, []);
        await using (BackupSession session = await vault.BeginAsync("host", Token))
        {
            Assert.Contains("garbage collection is under way", WhyNot(session, before.Id), StringComparison.Ordinal);
            Assert.True(session.TryFindBase(during.Id, Volume, out _, out _));
        }

        await OtherHand.EndAsync(store, 1);
        await using BackupSession after = await vault.BeginAsync("host", Token);
        Assert.True(after.TryFindBase(before.Id, Volume, out _, out _));
    }

    [Fact]
    public async Task A_base_of_another_session_or_another_size_is_refused()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        RecoveryPoint point = await WriteWholeAsync(vault, 10, []);
        await using BackupSession one = await vault.BeginAsync("host", Token);
        await using BackupSession other = await vault.BeginAsync("host", Token);
        Assert.True(one.TryFindBase(point.Id, Volume, out BaseImage? upon, out _));
        Assert.Throws<ArgumentException>(() => other.NewImage(upon, new BlockBitmap(10), new BlockBitmap(10)));
        Assert.Throws<ArgumentException>(() => one.NewImage(upon, new BlockBitmap(11), new BlockBitmap(11)));
    }

    private static string WhyNot(BackupSession session, Guid point, string volume = Volume)
    {
        Assert.False(session.TryFindBase(point, volume, out BaseImage? found, out string? why));
        Assert.Null(found);
        return why;
    }

    private static Dictionary<long, ChunkId> RandomChunks(Random random, long count, int some)
    {
        Dictionary<long, ChunkId> chunks = [];
        for (; some > 0; some--)
        {
            chunks[random.NextInt64(count)] = ChunkId.From(random.NextBytes(ChunkId.Size));
        }

        return chunks;
    }

    private static async Task<RecoveryPoint> WriteWholeAsync(BackupVault vault, long count, Dictionary<long, ChunkId> chunks)
    {
        await using BackupSession session = await vault.BeginAsync("host", Token);
        BlockBitmap toCome = Bits(count, chunks.Keys);
        ImageWriter image = session.NewImage(count * ChunkSize, toCome);
        foreach ((long chunk, ChunkId id) in chunks)
        {
            image.Set(chunk, id);
        }

        ChunkId root = await image.FinishAsync(Token);
        VolumeRecord volume = new() { Name = Volume, Source = "/dev/test", Length = count * ChunkSize, SectorSize = 512, Root = root };
        return await session.CommitAsync(new PointDraft { Host = "host", Instant = DateTimeOffset.UnixEpoch, Volumes = [volume] }, Token);
    }

    private static async Task<(ChunkId Root, long Pages, BlockBitmap Differing)> WriteUponAsync(
        BackupVault vault, Guid point, long count, Alteration alteration)
    {
        await using BackupSession session = await vault.BeginAsync("host", Token);
        Assert.True(session.TryFindBase(point, Volume, out BaseImage? upon, out string? why), why);
        ImageWriter image = session.NewImage(upon, Bits(count, alteration.Set.Keys), Bits(count, alteration.Holes));
        foreach ((long chunk, ChunkId id) in alteration.Set)
        {
            image.Set(chunk, id);
        }

        ChunkId root = await image.FinishAsync(Token);
        return (root, session.Totals.NewPages, image.Differing);
    }

    private static BlockBitmap Bits(long count, IEnumerable<long> set)
    {
        BlockBitmap bits = new(count);
        foreach (long bit in set)
        {
            bits.Set(bit);
        }

        return bits;
    }

    private static IEnumerable<long> SetBits(BlockBitmap bits)
    {
        foreach ((long first, long count) in bits.SetRuns())
        {
            for (long bit = first; bit < first + count; bit++)
            {
                yield return bit;
            }
        }
    }

    /// <summary>How many pages lie over the chunks that differ and hold anything at all: random ids make no two pages equal.</summary>
    private static long PagesOver(long count, IReadOnlyCollection<long> differing, Dictionary<long, ChunkId> now)
    {
        long pages = 0;
        for (int level = 0; level <= new MapTree(count).TopLevel; level++)
        {
            long below = MapTree.ChunksBelow(level + 1);
            HashSet<long> holding = [.. now.Where(chunk => !chunk.Value.IsHole).Select(chunk => chunk.Key / below)];
            pages += differing.Select(chunk => chunk / below).Distinct().Count(holding.Contains);
        }

        return pages;
    }

    /// <summary>What is said about a volume that was imaged before: chunks that were read, some of them equal, and chunks that became holes.</summary>
    private sealed record Alteration(Dictionary<long, ChunkId> Set, HashSet<long> Holes, Dictionary<long, ChunkId> Now)
    {
        internal int Leaves => Set.Keys.Concat(Holes).Select(chunk => chunk / MapTree.Fanout).Distinct().Count();

        internal static Alteration Random(Random random, long count, Dictionary<long, ChunkId> then)
        {
            Dictionary<long, ChunkId> set = RandomChunks(random, count, random.Next(100));
            foreach ((long chunk, ChunkId id) in then.Where(_ => random.Next(6) == 0))
            {
                set[chunk] = random.Next(3) == 0 ? ChunkId.From(random.NextBytes(ChunkId.Size)) : random.Next(2) == 0 ? id : ChunkId.Hole;
            }

            HashSet<long> holes = [.. then.Keys.Where(chunk => !set.ContainsKey(chunk) && random.Next(5) == 0)];
            Dictionary<long, ChunkId> now = new(then);
            foreach ((long chunk, ChunkId id) in set)
            {
                now[chunk] = id;
            }

            foreach (long chunk in holes)
            {
                now.Remove(chunk);
            }

            return new Alteration(set, holes, now);
        }

        internal List<long> Differing(Dictionary<long, ChunkId> then) =>
            [.. Now.Keys.Union(then.Keys).Where(chunk => Now.GetValueOrDefault(chunk) != then.GetValueOrDefault(chunk))];
    }
}
