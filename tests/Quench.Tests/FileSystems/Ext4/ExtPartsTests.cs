using System.Globalization;
using System.Text;
using Quench.FileSystems;
using Quench.FileSystems.Ext4;
using Xunit;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>The small parts of the room against naive models and published check values.</summary>
public sealed class ExtPartsTests
{
    [Fact]
    public void Checksums_give_the_published_check_values()
    {
        byte[] digits = Encoding.ASCII.GetBytes("123456789");
        Assert.Equal(0xE3069283u, ~Crc32c.Append(uint.MaxValue, digits)); // CRC-32C (RFC 3720, appendix B.4's polynomial)
        Assert.Equal(0xBB3D, Checksums.Crc16(0, digits));                    // CRC-16/ARC
        Assert.Equal(0x4B37, Checksums.Crc16(ushort.MaxValue, digits));      // CRC-16/MODBUS: the same from another start
    }

    [Fact]
    public void Runs_of_a_bitmap_are_those_of_an_array_of_bools()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("QUENCH_SEED"), CultureInfo.InvariantCulture, out int given) ? given : 11;
        Random random = new(seed);
        for (int round = 0; round < 2_000; round++)
        {
            byte[] bytes = new byte[random.Next(1, 40)];
            int solid = random.Next(4);
            for (int at = 0; at < bytes.Length; at++)
            {
                bytes[at] = random.Next(4) < solid ? (byte)(random.Next(2) * 255) : (byte)random.Next(256);
            }

            int count = random.Next(1, (bytes.Length * 8) + 1);
            bool[] seen = new bool[count];
            int last = -1;
            BitRuns runs = new(bytes, count);
            while (runs.MoveNext())
            {
                Assert.True(runs.First > last && runs.Count > 0, $"seed {seed}, round {round}: runs touch");
                last = runs.First + runs.Count;
                seen.AsSpan(runs.First, runs.Count).Fill(true);
            }

            Assert.Equal(Enumerable.Range(0, count).Select(bit => (bytes[bit / 8] & (1 << (bit % 8))) != 0), seen);
        }
    }
}
