using System.Text;
using Quench.Vault.Parity;
using Xunit;

namespace Quench.Tests.Vault.Parity;

/// <summary>The check of a shard is the published CRC-64, whichever way it is computed.</summary>
public sealed class ShardCheckTests
{
    [Fact]
    public void The_published_check_value_comes_out() =>
        Assert.Equal(0x995DC9BBDF1939FAul, ShardCheck.Of(Encoding.ASCII.GetBytes("123456789")));

    [Fact]
    public void Folding_and_tables_agree_with_the_model_at_every_length()
    {
        byte[] bytes = TestSeed.NewRandom().NextBytes(4200);
        for (int length = 0; length <= bytes.Length; length += length < 700 ? 1 : 97)
        {
            ulong expected = Naive(bytes.AsSpan(0, length));
            Assert.Equal(expected, ShardCheck.Of(bytes.AsSpan(0, length), fold: false));
            Assert.Equal(expected, ShardCheck.Of(bytes.AsSpan(0, length)));
        }
    }

    private static ulong Naive(ReadOnlySpan<byte> bytes)
    {
        ulong crc = ulong.MaxValue;
        foreach (byte value in bytes)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0xC96C5795D7870F42);
            }
        }

        return ~crc;
    }
}
