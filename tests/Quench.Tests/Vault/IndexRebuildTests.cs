using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

/// <summary>The index made whole from the packs' directories.</summary>
public sealed class IndexRebuildTests
{
    private readonly byte[][] _contents = [NewContent(1, ChunkSize * 40), NewContent(2, ChunkSize * 40), NewContent(3, ChunkSize * 40)];

    [Fact]
    public async Task A_sound_index_is_left_as_it_is()
    {
        MemoryStore store = await NewStoreAsync();
        Dictionary<string, byte[]> before = await SnapshotAsync(store);
        IndexRebuildReport report = await RebuildAsync(store);
        Assert.True(report.Packs >= 3);
        Assert.Empty(report.Written.Concat(report.Deleted).Concat(report.Kept).Concat(report.UnreadablePacks));
        Assert.True(report.CacheDropped);
        Assert.Equal(before.Keys.Order(), (await SnapshotAsync(store)).Keys.Order());
    }

    [Fact]
    public async Task What_a_lost_index_object_named_is_named_again()
    {
        MemoryStore store = await NewStoreAsync();
        foreach (string name in (await IndexesAsync(store)).Skip(1))
        {
            await store.DeleteAsync(name, Token);
        }

        IndexRebuildReport report = await RebuildAsync(store);
        Assert.Equal(2, report.Written.Count); // one for each session
        Assert.True(report.NamedPacks >= 2 && report.NamedChunks > 0);
        Assert.Empty(report.Deleted);
        await WholeAsync(store);
        Assert.Empty((await RebuildAsync(store)).Written);
    }

    [Fact]
    public async Task A_damaged_index_object_is_replaced_and_then_deleted()
    {
        MemoryStore store = await NewStoreAsync();
        List<string> damaged = [.. (await IndexesAsync(store)).Take(2)];
        foreach (string name in damaged)
        {
            await DamageAsync(store, name);
        }

        IndexRebuildReport report = await RebuildAsync(store);
        Assert.Equal(damaged.Order(StringComparer.Ordinal), report.Deleted);
        Assert.Empty(report.Kept);
        Assert.Equal(1 + report.Written.Count, (await IndexesAsync(store)).Count);
        await WholeAsync(store);
    }

    [Fact]
    public async Task A_damaged_index_object_stays_while_a_pack_can_not_be_read()
    {
        MemoryStore store = await NewStoreAsync();
        string damaged = (await IndexesAsync(store))[0];
        await DamageAsync(store, damaged);
        string pack = (await SnapshotAsync(store)).Keys.First(name => name.StartsWith(ObjectNames.Packs, StringComparison.Ordinal));
        await DamageAsync(store, pack);
        IndexRebuildReport report = await RebuildAsync(store);
        Assert.Equal([pack], report.UnreadablePacks);
        Assert.Equal([damaged], report.Kept);
        Assert.Contains(damaged, await IndexesAsync(store));
    }

    [Fact]
    public async Task A_rebuild_that_ends_anywhere_leaves_a_vault_that_the_next_one_makes_whole()
    {
        for (int call = 1; ; call++)
        {
            MemoryStore store = await NewStoreAsync();
            foreach (string name in (await IndexesAsync(store)).Skip(1))
            {
                await DamageAsync(store, name);
            }

            Faults.FaultyStore faulty = new(store, call + await CallsToOpenAsync(store), Faults.Fault.Sticky);
            await using (BackupVault vault = await OpenAsync(faulty))
            {
                if (await Record.ExceptionAsync(() => vault.RebuildIndexAsync(null, Token)) is null)
                {
                    Assert.True(call > 10);
                    return;
                }
            }

            await RebuildAsync(store);
            await WholeAsync(store);
        }
    }

    [Fact]
    public async Task Packs_that_a_collector_has_condemned_are_left_to_it()
    {
        MemoryStore store = await NewStoreAsync();
        List<Guid> packs = [.. (await SnapshotAsync(store)).Keys.Where(name => name.StartsWith(ObjectNames.Packs, StringComparison.Ordinal)).Select(name => Guid.Parse(name[^32..]))];
        foreach (string name in await IndexesAsync(store))
        {
            await store.DeleteAsync(name, Token);
        }

        VaultOpening collector = await VaultOpening.OpenAsync(store, Password, Token);
        string condemned = ObjectNames.Condemned(1);
        await store.PutAsync(condemned, collector.Keys.SealEnvelope(EnvelopeKind.Condemned, condemned, PackListBody.Write(1, packs)), Token);
        collector.Keys.Dispose();
        IndexRebuildReport report = await RebuildAsync(store);
        Assert.Equal(0, report.Packs);
        Assert.Empty(await IndexesAsync(store));
    }

    [Fact]
    public async Task A_session_knows_its_own_chunks_when_they_are_indexed_and_claims_none_twice()
    {
        await using BackupVault vault = await CreateAsync(new MemoryStore());
        await using BackupSession session = await vault.BeginAsync("host", Token);
        using ChunkSealer sealer = session.NewSealer();
        byte[] chunk = _contents[0][..ChunkSize];
        chunk[0] ^= 0x5A;
        ChunkId id = session.Identify(chunk);
        Assert.True(session.TryClaim(id));
        Assert.False(session.TryClaim(id));
        await session.AddAsync(sealer.Seal(id, chunk), Token);
        Assert.False(session.TryClaim(id));
        await session.SettleAsync(Token);
        Assert.False(session.TryClaim(id));
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await session.AddAsync(sealer.Seal(id, chunk), Token));
    }

    private static async Task<IndexRebuildReport> RebuildAsync(MemoryStore store)
    {
        await using BackupVault vault = await OpenAsync(store);
        return await vault.RebuildIndexAsync(null, Token);
    }

    /// <summary>How many calls of the store opening takes.</summary>
    private static async Task<int> CallsToOpenAsync(MemoryStore store)
    {
        for (int calls = 1; ; calls++)
        {
            Faults.FaultyStore counter = new(store, calls, Faults.Fault.Sticky);
            try
            {
                await (await OpenAsync(counter)).DisposeAsync();
                return calls - 1;
            }
            catch (Quench.Blocks.QuenchException)
            {
                // It has made that call; how many more?
            }
        }
    }

    private static async Task<List<string>> IndexesAsync(MemoryStore store) =>
        [.. (await SnapshotAsync(store)).Keys.Where(name => name.StartsWith(ObjectNames.Indexes, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    private static async Task DamageAsync(MemoryStore store, string name)
    {
        byte[] bytes = (await store.GetAsync(name, Token))!;
        bytes[^100] ^= 1;
        await store.DeleteAsync(name, Token);
        await store.PutAsync(name, bytes, Token);
    }

    private async Task<MemoryStore> NewStoreAsync()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        foreach (byte[] content in _contents)
        {
            await BackupAsync(vault, content);
        }

        return store;
    }

    /// <summary>Nothing is damaged, and every point gives back its content.</summary>
    private async Task WholeAsync(MemoryStore store)
    {
        await using BackupVault vault = await OpenAsync(store);
        VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.Empty(report.Damage);
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(Token);
        for (int i = 0; i < _contents.Length; i++)
        {
            Assert.Equal(_contents[i], await RestoreAsync(vault, points[i].Volumes[0]));
        }
    }
}
