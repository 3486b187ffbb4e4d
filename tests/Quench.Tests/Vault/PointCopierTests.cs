using Quench.Blocks;
using Quench.Tests.Vault.Faults;
using Quench.Vault;
using Quench.Vault.Copying;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

public sealed class PointCopierTests
{
    [Fact]
    public async Task A_copy_restores_to_the_same_bytes_and_keeps_what_is_known_of_the_point()
    {
        await using BackupVault source = await CreateAsync(new MemoryStore());
        await using BackupVault target = await CreateAsync(new MemoryStore());
        byte[] content = NewContent(1, (ChunkSize * 700) + 123); // three leaves and a page above them
        RecoveryPoint point = await BackupAsync(source, content);
        CopiedPoint copied = await new PointCopier(source, target, null).CopyAsync(point, Token);
        Assert.False(copied.WasThere);
        RecoveryPoint copy = Assert.Single(await target.ListPointsAsync(Token));
        Assert.Equal(copied.Copy.Id, copy.Id);
        Assert.Equal((point.Host, point.Instant), (copy.Host, copy.Instant));
        Assert.Equal(point.Tags, copy.Tags);
        Assert.Equal("b", copy.Notes["a"]);
        Assert.Equal(new PointOrigin(source.Info.Id, point.Id), PointOrigin.Of(copy, target.Info.Id));
        VolumeRecord was = point.Volumes[0];
        Assert.Equal(was, copy.Volumes[0] with { Root = was.Root, NewBytes = was.NewBytes, StoredBytes = was.StoredBytes });
        Assert.NotEqual(was.Root, copy.Volumes[0].Root);
        Assert.Equal(content, await RestoreAsync(target, copy.Volumes[0]));
        Assert.True((await target.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_second_copy_of_a_point_is_noticed_by_whatever_way_it_came()
    {
        await using BackupVault a = await CreateAsync(new MemoryStore());
        await using BackupVault b = await CreateAsync(new MemoryStore());
        await using BackupVault c = await CreateAsync(new MemoryStore());
        RecoveryPoint point = await BackupAsync(a, NewContent(2, ChunkSize * 5));
        RecoveryPoint inB = (await new PointCopier(a, b, null).CopyAsync(point, Token)).Copy;
        Assert.True((await new PointCopier(a, b, null).CopyAsync(point, Token)).WasThere);
        RecoveryPoint inC = (await new PointCopier(b, c, null).CopyAsync(inB, Token)).Copy;
        Assert.True((await new PointCopier(a, c, null).CopyAsync(point, Token)).WasThere);
        CopiedPoint home = await new PointCopier(c, a, null).CopyAsync(inC, Token);
        Assert.True(home.WasThere);
        Assert.Equal(point.Id, home.Copy.Id);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_later_point_costs_what_changed(bool sameRun)
    {
        await using BackupVault source = await CreateAsync(new MemoryStore());
        await using BackupVault target = await CreateAsync(new MemoryStore());
        byte[] content = NewContent(3, ChunkSize * 1000);
        RecoveryPoint first = await BackupAsync(source, content);
        content.AsSpan(ChunkSize * 500, 8).Fill(0x5A);
        RecoveryPoint second = await BackupAsync(source, content);

        PointCopier copier = new(source, target, null);
        await copier.CopyAsync(first, Token);
        CopiedPoint copied = await (sameRun ? copier : new PointCopier(source, target, null)).CopyAsync(second, Token);
        Assert.Equal(ChunkSize + (2 * 8192), copied.ReadBytes); // the chunk, its leaf and the root
        Assert.Equal(1, copied.Totals.NewChunks);
        Assert.Equal(content, await RestoreAsync(target, copied.Copy.Volumes[0]));
    }

    [Theory]
    [InlineData(16 * 1024, 64 * 1024)]
    [InlineData(64 * 1024, 16 * 1024)]
    public async Task Chunks_of_another_size_are_cut_anew(int from, int to)
    {
        await using BackupVault source = await CreateAsync(new MemoryStore(), from);
        await using BackupVault target = await CreateAsync(new MemoryStore(), to);
        byte[] content = NewContent(4, (64 * 1024 * 20) + 777, from);
        content.AsSpan(64 * 1024 * 4, 64 * 1024 * 9).Clear();
        RecoveryPoint point = await BackupAsync(source, content);
        CopiedPoint copied = await new PointCopier(source, target, null).CopyAsync(point, Token);
        Assert.Equal(content, await RestoreAsync(target, copied.Copy.Volumes[0]));
        Assert.True((await target.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
        Assert.True((await new PointCopier(source, target, null).CopyAsync(point, Token)).WasThere);
    }

    [Fact]
    public async Task Empty_volumes_and_several_of_them_are_copied_too()
    {
        await using BackupVault source = await CreateAsync(new MemoryStore());
        await using BackupVault target = await CreateAsync(new MemoryStore());
        byte[][] contents = [[], new byte[ChunkSize * 3], NewContent(5, ChunkSize * 3)];
        RecoveryPoint point;
        await using (BackupSession session = await source.BeginAsync("host", Token))
        {
            List<VolumeRecord> volumes = [];
            for (int i = 0; i < contents.Length; i++)
            {
                volumes.Add(await ImageAsync(source, session, contents[i], $"volume{i}"));
            }

            point = await session.CommitAsync(new PointDraft { Host = "host", Instant = TimeProvider.System.GetUtcNow(), Volumes = volumes }, Token);
        }

        RecoveryPoint copy = (await new PointCopier(source, target, null).CopyAsync(point, Token)).Copy;
        for (int i = 0; i < contents.Length; i++)
        {
            Assert.Equal(contents[i], await RestoreAsync(target, copy.Volumes[i]));
        }
    }

    [Fact]
    public async Task A_vault_is_not_copied_into_itself()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        RecoveryPoint point = await BackupAsync(vault, NewContent(6, ChunkSize));
        QuenchException refused = await Assert.ThrowsAsync<QuenchException>(() => new PointCopier(vault, vault, null).CopyAsync(point, Token));
        Assert.Equal("VAULT-051", refused.Code);
    }

    [Fact]
    public async Task A_point_that_can_not_be_read_is_not_copied()
    {
        MemoryStore store = new();
        await using BackupVault target = await CreateAsync(new MemoryStore());
        RecoveryPoint point;
        await using (BackupVault source = await CreateAsync(store))
        {
            point = await BackupAsync(source, NewContent(7, ChunkSize * 20));
        }

        Dictionary<string, byte[]> objects = await SnapshotAsync(store);
        byte[] pack = objects.First(found => found.Key.StartsWith("packs/", StringComparison.Ordinal)).Value;
        pack[100] ^= 1;
        await using BackupVault damaged = await OpenAsync(await StoreOfAsync(objects));
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => new PointCopier(damaged, target, null).CopyAsync(point, Token));
        Assert.Equal("VAULT-041", failure.Code);
        Assert.Empty(await target.ListPointsAsync(Token));
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task Whatever_call_of_the_target_fails_the_same_copier_can_go_on(Fault fault)
    {
        await using BackupVault source = await CreateAsync(new MemoryStore());
        byte[] content = NewContent(8, ChunkSize * 20);
        RecoveryPoint point = await BackupAsync(source, content);
        MemoryStore origin = new();
        await (await CreateAsync(origin)).DisposeAsync();
        Dictionary<string, byte[]> start = await SnapshotAsync(origin);
        bool fired = true;
        for (int n = 1; fired; n++)
        {
            MemoryStore store = await StoreOfAsync(start);
            FaultyStore faulty = new(store, n, fault);
            bool acknowledged = await TryCopyTwiceAsync(source, faulty, point);
            fired = faulty.Fired;
            await using BackupVault target = await OpenAsync(store);
            IReadOnlyList<RecoveryPoint> points = await target.ListPointsAsync(Token);
            Assert.True(points.Count > 0 || !acknowledged);
            RecoveryPoint copy = (await new PointCopier(source, target, null).CopyAsync(point, Token)).Copy;
            Assert.Equal(content, await RestoreAsync(target, copy.Volumes[0]));
            Assert.True((await target.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
            Assert.Single(await target.ListPointsAsync(Token));
        }
    }

    [Fact]
    public async Task An_interrupted_copy_is_continued_where_it_was()
    {
        const int LeafChunks = 256;
        await using BackupVault source = await CreateAsync(new MemoryStore());
        byte[] content = TestSeed.NewRandom().NextBytes(ChunkSize * LeafChunks * 4);
        RecoveryPoint point = await BackupAsync(source, content);
        MemoryStore store = new();
        await (await CreateAsync(store)).DisposeAsync();
        await using (BackupVault target = await OpenAsync(new StoreThatFills(store, packs: 2)))
        {
            PointCopier copier = new(source, target, null) { BytesBetweenSettlements = 1 };
            Assert.Equal("TEST-002", (await Assert.ThrowsAsync<QuenchException>(() => copier.CopyAsync(point, Token))).Code);
            Assert.Empty(await target.ListPointsAsync(Token));
        }

        await using BackupVault again = await OpenAsync(store);
        CopiedPoint copied = await new PointCopier(source, again, null).CopyAsync(point, Token);
        Assert.Equal(LeafChunks * 2, copied.Totals.NewChunks);
        Assert.Equal(content, await RestoreAsync(again, copied.Copy.Volumes[0]));
    }

    [Fact]
    public void What_is_remembered_of_names_is_bounded()
    {
        IdMap map = new(capacity: 100);
        ChunkId[] ids = [.. Enumerable.Range(1, 300).Select(number => ChunkId.From([.. BitConverter.GetBytes(number), .. new byte[28]]))];
        foreach (ChunkId id in ids)
        {
            map.Add(id, id);
        }

        Assert.Equal(100, ids.Count(id => map.TryFind(id, out ChunkId found) && found == id));
        Assert.True(map.TryFind(ids[^1], out _));
    }

    private static async Task<bool> TryCopyTwiceAsync(BackupVault source, FaultyStore store, RecoveryPoint point)
    {
        BackupVault target;
        try
        {
            target = await OpenAsync(store);
        }
        catch (QuenchException)
        {
            return false;
        }

        await using (target)
        {
            PointCopier copier = new(source, target, null);
            for (int attempt = 0; attempt < 2; attempt++)
            {
                try
                {
                    await copier.CopyAsync(point, Token);
                    return true;
                }
                catch (QuenchException)
                {
                    // tried once more with what the copier has learnt
                }
            }

            return false;
        }
    }

    /// <summary>A store that has room for so many packs and no more.</summary>
    private sealed class StoreThatFills(IObjectStore inner, int packs) : IObjectStore
    {
        private int _packs;

        public string Location => inner.Location;

        public Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            name.StartsWith("packs/", StringComparison.Ordinal) && Interlocked.Increment(ref _packs) > packs
                ? throw new QuenchException("TEST-002", "the store is full")
                : inner.PutAsync(name, content, cancellationToken);

        public Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => inner.TryPutAsync(name, content, cancellationToken);

        public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) => inner.GetAsync(name, cancellationToken);

        public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken) =>
            inner.TryReadAsync(name, offset, into, cancellationToken);

        public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

        public Task DeleteAsync(string name, CancellationToken cancellationToken) => inner.DeleteAsync(name, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
