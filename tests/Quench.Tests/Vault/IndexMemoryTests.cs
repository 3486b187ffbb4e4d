using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Index.Runs;
using Quench.Vault.Keys;
using Xunit;

namespace Quench.Tests.Vault;

/// <summary>Measures the whole heap, so nothing else may run beside it.</summary>
[Collection("alone")]
public sealed class IndexMemoryTests
{
    [Fact]
    public void The_index_takes_no_more_than_64_bytes_for_a_chunk()
    {
        const int Chunks = 1_000_000;
        long before = SettledHeap();
        using ChunkIndex index = new();
        int pack = index.AddPack(new IndexedPack(Guid.NewGuid(), 1, null!), isNamed: true);
        byte[] id = new byte[32];
        Random random = new(5);
        for (int i = 0; i < Chunks; i++)
        {
            random.NextBytes(id);
            index.Add(ChunkId.From(id), pack, 64, 100, new ChunkMeta(0, 1, false));
        }

        double each = (SettledHeap() - before) / (double)Chunks;
        TestContext.Current.SendDiagnosticMessage($"{each:0.0} bytes for each chunk");
        Assert.InRange(each, 48, 64);
        GC.KeepAlive(index);
    }

    [Fact]
    public void An_index_on_disk_takes_no_more_than_3_bytes_for_a_chunk_beside_its_tail()
    {
        const int Chunks = 400_000;
        const int Tail = 20_000;
        using TemporaryDirectory folder = new();
        using VaultKeys keys = VaultKeys.From(Guid.NewGuid(), new byte[32]);
        long before = SettledHeap();
        using ChunkIndex index = new(new IndexCache(keys, folder["cache"], folder.Path), new IndexLimits(Tail, Tail, Tail, Runs: 4));
        int pack = index.AddPack(new IndexedPack(Guid.NewGuid(), 1, null!), isNamed: true);
        byte[] id = new byte[32];
        Random random = new(5);
        for (int i = 0; i < Chunks; i++)
        {
            random.NextBytes(id);
            index.Add(ChunkId.From(id), pack, 64, 100, new ChunkMeta(0, 1, false));
        }

        double each = (SettledHeap() - before - (Tail * 64)) / (double)Chunks;
        TestContext.Current.SendDiagnosticMessage($"{each:0.0} bytes for each chunk, {index.Runs.Count} runs");
        Assert.True(each < 3, $"{each:0.0} bytes for each chunk");
        GC.KeepAlive(index);
    }

    [Fact]
    public void Claims_take_memory_only_until_the_index_has_the_chunk()
    {
        const int Chunks = 1_000_000;
        const int OnTheirWay = 10_000;
        ClaimTable claims = new();
        long before = SettledHeap();
        for (int i = 0; i < Chunks; i++)
        {
            Assert.True(claims.TryClaim(IdOf(i)));
            Assert.False(claims.TryClaim(IdOf(i)));
            Assert.True(claims.TryFulfil(IdOf(i)));
            Assert.False(claims.TryFulfil(IdOf(i)));
            if (i >= OnTheirWay)
            {
                claims.Release(IdOf(i - OnTheirWay));
            }
        }

        Assert.Equal((0, OnTheirWay), (claims.Outstanding, claims.Count));
        long grown = SettledHeap() - before;
        Assert.True(grown < OnTheirWay * 200, $"{grown} bytes for {OnTheirWay} claims");
        Assert.True(claims.TryClaim(IdOf(0)));
        claims.Withdraw(IdOf(0));
        Assert.False(claims.TryFulfil(IdOf(0)));
        Assert.Equal(0, claims.Outstanding);
    }

    private static ChunkId IdOf(int number)
    {
        Span<byte> id = stackalloc byte[ChunkId.Size];
        new Random(number).NextBytes(id);
        return ChunkId.From(id);
    }

    /// <summary>The heap's bytes when what earlier tests have left is gone too: what their finalizers hold goes with the next collection only.</summary>
    private static long SettledHeap()
    {
        long before = long.MaxValue;
        long now = GC.GetTotalMemory(forceFullCollection: true);
        for (int tries = 0; tries < 20 && now < before; tries++)
        {
            before = now;
            GC.WaitForPendingFinalizers();
            now = GC.GetTotalMemory(forceFullCollection: true);
        }

        return now;
    }
}
