using Quench.Vault.Parity;
using Xunit;

namespace Quench.Tests.Vault.Parity;

/// <summary>The code of one stripe: whatever m shards are missing come back, and no others are touched.</summary>
public sealed class ReedSolomonTests
{
    private const int ShardSize = 64;

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 2)]
    [InlineData(5, 3)]
    [InlineData(6, 4)]
    [InlineData(8, 2)]
    [InlineData(4, 6)]
    [InlineData(20, 2)]
    public void Every_set_of_missing_shards_within_the_budget_comes_back(int k, int m)
    {
        ReedSolomon code = new(k, m);
        byte[] whole = NewStripe(code, TestSeed.NewRandom());
        int sets = 0;
        for (uint set = 0; set < 1u << (k + m); set++)
        {
            int[] missing = [.. Enumerable.Range(0, k + m).Where(shard => (set >> shard & 1) == 1)];
            if (missing.Length > m)
            {
                continue;
            }

            byte[] damaged = Damage(whole, missing);
            Assert.True(code.TryRepair(damaged, ShardSize, missing));
            Assert.True(whole.AsSpan().SequenceEqual(damaged), $"{k}+{m} without {string.Join(',', missing)}");
            sets++;
        }

        Assert.Equal(Enumerable.Range(0, m + 1).Sum(lost => Choose(k + m, lost)), sets);
    }

    [Fact]
    public void Large_codes_repair_random_losses()
    {
        Random random = TestSeed.NewRandom();
        foreach ((int k, int m) in (List<(int, int)>)[(200, 32), (224, 32), (100, 10), (1, 32)])
        {
            ReedSolomon code = new(k, m);
            byte[] whole = NewStripe(code, random);
            for (int round = 0; round < 20; round++)
            {
                int[] missing = [.. Enumerable.Range(0, k + m).OrderBy(_ => random.Next()).Take(random.Next(1, m + 1)).Order()];
                byte[] damaged = Damage(whole, missing);
                Assert.True(code.TryRepair(damaged, ShardSize, missing));
                Assert.True(whole.AsSpan().SequenceEqual(damaged), $"{k}+{m} without {string.Join(',', missing)}");
            }
        }
    }

    [Fact]
    public void More_losses_than_parity_are_refused_and_nothing_changes()
    {
        ReedSolomon code = new(5, 2);
        byte[] whole = NewStripe(code, TestSeed.NewRandom());
        byte[] damaged = Damage(whole, [0, 3, 6]);
        byte[] before = [.. damaged];
        Assert.False(code.TryRepair(damaged, ShardSize, [0, 3, 6]));
        Assert.Equal(before, damaged);
    }

    [Fact]
    public void The_first_parity_shard_is_the_sum_of_the_data()
    {
        ReedSolomon code = new(20, 2);
        byte[] whole = NewStripe(code, TestSeed.NewRandom());
        for (int at = 0; at < ShardSize; at++)
        {
            byte sum = 0;
            for (int shard = 0; shard < 20; shard++)
            {
                sum ^= whole[(shard * ShardSize) + at];
            }

            Assert.Equal(sum, whole[(20 * ShardSize) + at]);
        }
    }

    private static byte[] NewStripe(ReedSolomon code, Random random)
    {
        byte[] stripe = random.NextBytes((code.DataShards + code.ParityShards) * ShardSize);
        code.Encode(stripe.AsSpan(0, code.DataShards * ShardSize), stripe.AsSpan(code.DataShards * ShardSize), ShardSize);
        return stripe;
    }

    private static byte[] Damage(byte[] whole, int[] missing)
    {
        byte[] damaged = [.. whole];
        foreach (int shard in missing)
        {
            damaged.AsSpan(shard * ShardSize, ShardSize).Fill(0xEE);
        }

        return damaged;
    }

    private static int Choose(int n, int k) => k == 0 ? 1 : Choose(n - 1, k - 1) * n / k;
}
