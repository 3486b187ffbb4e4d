using System.Text;
using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

public sealed class VaultTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(ChunkSize)]
    [InlineData((ChunkSize * 5) + 512)]
    [InlineData(ChunkSize * 256)]
    [InlineData(ChunkSize * 257)]
    [InlineData((ChunkSize * 700) + 4096)]
    public async Task What_was_imaged_is_restored(int length)
    {
        MemoryStore store = new();
        byte[] content = NewContent(length, length);
        RecoveryPoint point;
        await using (BackupVault vault = await CreateAsync(store))
        {
            point = await BackupAsync(vault, content);
        }

        await using BackupVault again = await OpenAsync(store);
        RecoveryPoint listed = Assert.Single(await again.ListPointsAsync(Token));
        Assert.Equal(point.Id, listed.Id);
        Assert.Equal(content, await RestoreAsync(again, listed.Volumes[0]));
        VerifyReport report = await again.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.Empty(report.Damage);
        Assert.Empty(report.Foreign);
        Assert.Empty((await again.VerifyAsync(listed, VerifyLevel.Data, null, Token)).Damage);
    }

    [Fact]
    public async Task A_point_comes_back_as_it_was_committed()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        await using BackupSession session = await vault.BeginAsync("host", Token);
        VolumeRecord volume = (await ImageAsync(vault, session, NewContent(1, 50_000), "root")) with
        {
            FileSystem = "ext4", Label = "höme", Uuid = "u", Provider = "filter", Grade = "file-system", FreezeMilliseconds = 1.5, UsedBytes = 1, NewBytes = 2,
            StoredBytes = 3, DiffAreaPeakBytes = 4, MapDoubt = "none", Instant = DateTimeOffset.UnixEpoch, Proof = new ProofRecord("sha256", "ab", DateTimeOffset.UnixEpoch),
        };
        RecoveryPoint point = await session.CommitAsync(
            new PointDraft { Host = "host", Instant = DateTimeOffset.UnixEpoch, Volumes = [volume], Tags = ["a", "b"], Notes = new Dictionary<string, string> { ["k"] = "v" } }, Token);
        RecoveryPoint listed = Assert.Single(await vault.ListPointsAsync(Token));
        Assert.Equivalent(point, listed, strict: true);
        Assert.Equal(volume, listed.Volumes[0]);
    }

    [Fact]
    public async Task Any_range_reads_as_the_volume_did_and_the_map_is_true()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        byte[] content = NewContent(7, (ChunkSize * 300) + 1000);
        RecoveryPoint point = await BackupAsync(vault, content);
        await using IBlockReader image = vault.OpenImage(point.Volumes[0]);
        Random random = new(3);
        for (int i = 0; i < 200; i++)
        {
            int offset = random.Next(content.Length);
            byte[] into = new byte[random.Next(Math.Min(content.Length - offset, 5 * ChunkSize))];
            await image.ReadAsync(offset, into, Token);
            Assert.True(into.AsSpan().SequenceEqual(content.AsSpan(offset, into.Length)));
        }

        IReadOnlyList<MappedExtent> map = await image.MapAsync(new Extent(100, content.Length - 100), Token);
        Assert.Equal(100, map[0].Extent.Offset);
        Assert.Equal(content.Length, map[^1].Extent.End);
        for (int i = 0; i < map.Count; i++)
        {
            Assert.True(i == 0 || (map[i].Extent.Offset == map[i - 1].Extent.End && map[i].Kind != map[i - 1].Kind));
            bool zero = !content.AsSpan((int)map[i].Extent.Offset, (int)map[i].Extent.Length).ContainsAnyExcept((byte)0);
            Assert.True(zero || map[i].Kind == ExtentKind.Data);
        }

        Assert.Contains(map, extent => extent.Kind == ExtentKind.Zero);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await image.ReadAsync(content.Length - 1, new byte[2], Token));
    }

    [Fact]
    public async Task A_large_empty_volume_costs_nothing_and_maps_at_once()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        await using BackupSession session = await vault.BeginAsync("host", Token);
        long length = 1L << 40;
        ImageWriter image = session.NewImage(length, new BlockBitmap(length / ChunkSize));
        ChunkId root = await image.FinishAsync(Token);
        Assert.True(root.IsHole);
        await using IBlockReader reader = vault.OpenImage(new VolumeRecord { Name = "v", Source = "s", Length = length, SectorSize = 512, Root = root });
        Assert.Equal([new MappedExtent(new Extent(0, length), ExtentKind.Zero)], await reader.MapAsync(new Extent(0, length), Token));
    }

    [Fact]
    public async Task A_second_identical_image_stores_only_small_objects()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        byte[] content = NewContent(5, ChunkSize * 600);
        await BackupAsync(vault, content);
        await using BackupSession second = await vault.BeginAsync("host", Token);
        RecoveryPoint point = await BackupAsync(vault, second, content);
        Assert.Equal(0, second.Totals.NewChunks);
        Assert.Equal(0, second.Totals.NewPages);
        Assert.Equal(5, second.Totals.StoredObjects); // session, manifest, commit key, and the copies of the last two
        Assert.InRange(second.Totals.StoredBytes, 1, 4096);
        Assert.Equal(content, await RestoreAsync(vault, point.Volumes[0]));
    }

    [Fact]
    public async Task A_small_change_stores_one_chunk_and_the_pages_above_it()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        byte[] content = NewContent(6, ChunkSize * 600);
        await BackupAsync(vault, content);
        content[ChunkSize * 300] ^= 0x55;
        await using BackupSession second = await vault.BeginAsync("host", Token);
        RecoveryPoint point = await BackupAsync(vault, second, content);
        Assert.Equal(1, second.Totals.NewChunks);
        Assert.Equal(2, second.Totals.NewPages);
        Assert.Equal(content, await RestoreAsync(vault, point.Volumes[0]));
    }

    [Fact]
    public async Task Two_sessions_at_once_both_commit()
    {
        MemoryStore store = new();
        byte[] one = NewContent(11, ChunkSize * 40);
        byte[] two = NewContent(12, ChunkSize * 40);
        one.AsSpan(0, ChunkSize * 10).CopyTo(two); // chunks that both have
        await using BackupVault vault = await CreateAsync(store);
        await using BackupVault other = await OpenAsync(store);
        await using BackupSession first = await vault.BeginAsync("a", Token);
        await using BackupSession second = await other.BeginAsync("b", Token);
        Task<RecoveryPoint> firstDone = Task.Run(() => BackupAsync(vault, first, one));
        Task<RecoveryPoint> secondDone = Task.Run(() => BackupAsync(other, second, two));
        RecoveryPoint firstPoint = await firstDone;
        RecoveryPoint secondPoint = await secondDone;
        Assert.Equal(one, await RestoreAsync(other, firstPoint.Volumes[0]));
        Assert.Equal(two, await RestoreAsync(vault, secondPoint.Volumes[0]));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task An_abandoned_session_leaves_the_vault_as_it_was_and_its_packs_unused_or_used()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        byte[] content = NewContent(8, ChunkSize * 30);
        await using (BackupSession abandoned = await vault.BeginAsync("host", Token))
        {
            await ImageAsync(vault, abandoned, content, "disk");
        }

        Assert.Empty(await vault.ListPointsAsync(Token));
        RecoveryPoint point = await BackupAsync(vault, content);
        Assert.Equal(content, await RestoreAsync(vault, point.Volumes[0]));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_lost_index_is_made_up_for_by_the_packs_directories()
    {
        MemoryStore store = new();
        byte[] content = NewContent(9, ChunkSize * 30);
        await using (BackupVault vault = await CreateAsync(store))
        {
            await BackupAsync(vault, content);
        }

        Dictionary<string, byte[]> objects = await SnapshotAsync(store);
        await using BackupVault without = await OpenAsync(await StoreOfAsync(objects.Where(pair => !pair.Key.StartsWith("index/", StringComparison.Ordinal))));
        RecoveryPoint point = Assert.Single(await without.ListPointsAsync(Token));
        Assert.Equal(content, await RestoreAsync(without, point.Volumes[0]));
    }

    [Fact]
    public async Task A_chunk_of_a_lost_pack_is_stored_again_by_the_next_session()
    {
        MemoryStore store = new();
        byte[] content = NewContent(10, ChunkSize * 30);
        await using BackupVault vault = await CreateAsync(store);
        RecoveryPoint first = await BackupAsync(vault, content);
        foreach (string pack in (await SnapshotAsync(store)).Keys.Where(name => name.StartsWith("packs/", StringComparison.Ordinal)))
        {
            await store.DeleteAsync(pack, Token);
        }

        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => RestoreAsync(vault, first.Volumes[0]));
        Assert.Equal("VAULT-041", failure.Code);
        Assert.Contains("packs/", failure.Message, StringComparison.Ordinal);
        RecoveryPoint second = await BackupAsync(vault, content);
        Assert.Equal(content, await RestoreAsync(vault, second.Volumes[0]));
        Assert.Equal(content, await RestoreAsync(vault, first.Volumes[0]));
    }

    [Fact]
    public async Task Damage_is_named_by_point_volume_and_range()
    {
        MemoryStore store = new();
        byte[] shared = new byte[ChunkSize * 4];
        new Random(1).NextBytes(shared);
        await using BackupVault vault = await CreateAsync(store);
        RecoveryPoint first = await BackupAsync(vault, shared);
        byte[] other = [.. new byte[ChunkSize * 2], .. shared.AsSpan(0, ChunkSize * 2), .. new byte[ChunkSize]];
        RecoveryPoint second = await BackupAsync(vault, other);
        RecoveryPoint third = await BackupAsync(vault, new byte[ChunkSize]);

        Dictionary<string, byte[]> objects = await SnapshotAsync(store);
        string pack = objects.Keys.First(name => name.StartsWith("packs/", StringComparison.Ordinal) && objects[name].Length > 4 * ChunkSize);
        objects[pack].AsSpan(64, 4 * (ChunkSize + 28)).Reverse(); // all four data chunks, wherever they lie
        await using BackupVault damaged = await OpenAsync(await StoreOfAsync(objects));
        VerifyReport report = await damaged.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.Contains(report.Damage, d => d.Point == first.Id && d.Volume == "disk" && d.Range == new Extent(0, 4 * ChunkSize));
        Assert.Contains(report.Damage, d => d.Point == second.Id && d.Range == new Extent(2 * ChunkSize, 2 * ChunkSize));
        Assert.DoesNotContain(report.Damage, d => d.Point == third.Id);
        Assert.True((await damaged.VerifyAsync(third, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_point_is_found_by_prefix_or_as_the_latest()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        Assert.Null(await vault.FindPointAsync("latest", Token));
        RecoveryPoint first = await BackupAsync(vault, new byte[10]);
        RecoveryPoint second = await BackupAsync(vault, new byte[20]);
        Assert.Equal(second.Id, (await vault.FindPointAsync("latest", Token))!.Id);
        Assert.Equal(first.Id, (await vault.FindPointAsync(first.ShortId, Token))!.Id);
        Assert.Equal(first.Id, (await vault.FindPointAsync(first.Id.ToString("N").ToUpperInvariant(), Token))!.Id);
        Assert.Null(await vault.FindPointAsync("zz", Token));
        for (int i = 0; i < 20; i++)
        {
            await BackupAsync(vault, new byte[1]);
        }

        string digit = (await vault.ListPointsAsync(Token)).GroupBy(point => point.ShortId[..1]).First(group => group.Count() > 1).Key;
        Assert.Equal("VAULT-021", (await Assert.ThrowsAsync<QuenchException>(() => vault.FindPointAsync(digit, Token))).Code);
        Assert.Equal([first.Id], second.Previous);
    }

    [Fact]
    public async Task A_removed_point_is_an_alarm_and_a_forgotten_one_is_not()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        RecoveryPoint first = await BackupAsync(vault, new byte[10]);
        await BackupAsync(vault, new byte[20]);
        await Quench.Vault.Roots.RootCopies.DeleteAsync(store, ObjectNames.Commit(first.SessionId), Token);
        VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Listed, null, Token);
        Assert.Equal(first.Id, Assert.Single(report.Damage).Point);
    }

    [Fact]
    public async Task Misuse_of_a_session_is_refused()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        await using BackupSession session = await vault.BeginAsync("host", Token);
        byte[] chunk = [1, 2, 3];
        ChunkId id = session.Identify(chunk);
        Assert.False(session.TryClaim(ChunkId.Hole));
        using ChunkSealer sealer = session.NewSealer();
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await session.AddAsync(sealer.Seal(id, chunk), Token));
        Assert.True(session.TryClaim(id));
        Assert.False(session.TryClaim(id));
        BlockBitmap toCome = new(2);
        toCome.Set(1);
        ImageWriter image = session.NewImage(ChunkSize + 3, toCome);
        Assert.Throws<InvalidOperationException>(() => image.Set(0, id));
        await Assert.ThrowsAsync<InvalidOperationException>(() => image.FinishAsync(Token));
        image.Set(1, id);
        Assert.Throws<InvalidOperationException>(() => image.Set(1, id));
        await image.FinishAsync(Token);
        InvalidOperationException failure = await Assert.ThrowsAsync<InvalidOperationException>(
            () => session.CommitAsync(new PointDraft { Host = "h", Instant = default, Volumes = [] }, Token));
        Assert.Contains("never added", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Harder_compression_stores_less_and_every_one_gives_back_the_same_bytes()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        await using BackupSession session = await vault.BeginAsync("host", Token);
        byte[] chunk = [.. Enumerable.Range(0, ChunkSize).SelectMany(line => System.Text.Encoding.ASCII.GetBytes($"{line * 7919 % 1000} went by at {line * 31 % 97}\n")).Take(ChunkSize)];
        ChunkName name = session.Name(chunk);
        List<int> lengths = [];
        foreach (Compression compression in Enum.GetValues<Compression>())
        {
            using ChunkSealer sealer = session.NewSealer(compression);
            using SealedChunk @sealed = sealer.Seal(name, chunk); // opens it again and compares, or throws
            lengths.Add(@sealed.SealedLength);
        }

        Assert.Equal(ChunkSize + SealedLayout.Overhead, lengths[0]);
        Assert.Equal(lengths[..4].OrderDescending(), lengths[..4]);
        Assert.True(lengths[4] < lengths[2]); // on a chunk as small as this one zstd's upper levels don't differ for certain
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_chunk_that_changed_in_memory_is_never_stored(bool named)
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        await using BackupSession session = await vault.BeginAsync("host", Token);
        byte[] chunk = [1, 2, 3, 4];
        ChunkName name = session.Name(chunk);
        Assert.Equal(session.Identify(chunk), name.Id);
        Assert.True(session.TryClaim(name.Id));
        chunk[2] ^= 1; // the bit that fell over between naming and sealing
        using ChunkSealer sealer = session.NewSealer();
        QuenchException failure = Assert.Throws<QuenchException>(() => named ? sealer.Seal(name, chunk) : sealer.Seal(name.Id, chunk));
        Assert.Equal("VAULT-032", failure.Code);
        await Assert.ThrowsAsync<InvalidOperationException>(
            () => session.CommitAsync(new PointDraft { Host = "h", Instant = default, Volumes = [] }, Token)); // claimed and never added
        Assert.DoesNotContain((await SnapshotAsync(store)).Keys, path => path.StartsWith("packs/", StringComparison.Ordinal));
        chunk[2] ^= 1;
        (named ? sealer.Seal(name, chunk) : sealer.Seal(name.Id, chunk)).Dispose(); // as it was, it is fine
    }

    [Fact]
    public async Task A_session_that_was_revoked_can_not_commit()
    {
        MemoryStore store = new();
        (BackupVault vault, string code) = await CreateWithCodeAsync(store);
        await using BackupSession session = await vault.BeginAsync("host", Token);
        VaultOpening collector = await VaultOpening.OpenAsync(store, Encoding.ASCII.GetBytes(code), Token);
        string name = ObjectNames.Commit(session.Id);
        await store.PutAsync(
            name, collector.Keys.SealEnvelope(EnvelopeKind.Commit, name, CommitBody.Write(Verdict.Revoked, 0, default, new byte[32], 1)), Token);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => BackupAsync(vault, session, new byte[10]));
        Assert.Equal("VAULT-031", failure.Code);
        Assert.True(failure.CanRetry);
        Assert.Empty(await vault.ListPointsAsync(Token));
        collector.Keys.Dispose();
        await session.DisposeAsync();
        await vault.DisposeAsync();
    }

    [Fact]
    public async Task A_chunk_in_a_condemned_pack_is_stored_again()
    {
        MemoryStore store = new();
        (BackupVault vault, string code) = await CreateWithCodeAsync(store);
        byte[] content = NewContent(10, ChunkSize * 10);
        await BackupAsync(vault, content);
        VaultOpening collector = await VaultOpening.OpenAsync(store, Encoding.ASCII.GetBytes(code), Token);
        List<Guid> packs = [.. (await SnapshotAsync(store)).Keys.Where(name => ObjectNames.TryParseId(name, out Guid id) && name == ObjectNames.Pack(id)).Select(name => Guid.Parse(name[^32..]))];
        string condemned = ObjectNames.Condemned(1);
        await store.PutAsync(condemned, collector.Keys.SealEnvelope(EnvelopeKind.Condemned, condemned, PackListBody.Write(1, packs)), Token);
        await using BackupSession second = await vault.BeginAsync("host", Token);
        RecoveryPoint point = await BackupAsync(vault, second, content);
        Assert.NotEqual(0, second.Totals.NewChunks);
        Assert.Equal(1, point.Generation);
        foreach (Guid pack in packs)
        {
            await store.DeleteAsync(ObjectNames.Pack(pack), Token);
        }

        await using BackupVault after = await OpenAsync(store);
        Assert.Equal(content, await RestoreAsync(after, point.Volumes[0]));
        collector.Keys.Dispose();
    }
}
