using Quench.Vault.Index;
using Xunit;

namespace Quench.Tests.Vault.Index;

public sealed class OrdinalSetTests
{
    [Fact]
    public void It_agrees_with_a_hash_set_whatever_the_order()
    {
        Random random = TestSeed.NewRandom();
        OrdinalSet set = new();
        HashSet<int> model = [];
        for (int i = 0; i < 50_000; i++)
        {
            int ordinal = random.Next(200_000);
            Assert.Equal(model.Contains(ordinal), set.Contains(ordinal));
            Assert.Equal(model.Add(ordinal), set.Add(ordinal));
        }

        Assert.Equal(model.Count, set.Count);
        Assert.All(Enumerable.Range(0, 400_000), ordinal => Assert.Equal(model.Contains(ordinal), set.Contains(ordinal)));
    }

    [Fact]
    public void Sixteen_million_chunks_take_no_more_than_4_MiB()
    {
        const int Chunks = 1 << 24;
        OrdinalSet set = new();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Chunks; i++)
        {
            set.Add(i);
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before; // what was outgrown included: the last array is half of it
        TestContext.Current.SendDiagnosticMessage($"{allocated} bytes were allocated for {Chunks} chunks");
        Assert.InRange(allocated, Chunks / 8, 4 << 20);
    }
}
