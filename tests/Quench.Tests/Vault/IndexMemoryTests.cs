using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Index;
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
        long before = GC.GetTotalMemory(forceFullCollection: true);
        ChunkIndex index = new();
        int pack = index.AddPack(new IndexedPack(Guid.NewGuid(), 1, null!));
        byte[] id = new byte[32];
        Random random = new(5);
        for (int i = 0; i < Chunks; i++)
        {
            random.NextBytes(id);
            index.Add(ChunkId.From(id), pack, 64, 100, new ChunkMeta(0, 1, false));
        }

        double each = (GC.GetTotalMemory(forceFullCollection: true) - before) / (double)Chunks;
        TestContext.Current.SendDiagnosticMessage($"{each:0.0} bytes for each chunk");
        Assert.InRange(each, 48, 64);
        GC.KeepAlive(index);
    }
}
