using Quench.Interop.Zstd;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Vault;

/// <summary>A frame can be made exactly as long as its place, whoever compressed it before and however well.</summary>
public sealed class ExactSealerTests
{
    [Fact]
    public void A_frame_fills_any_length_from_its_own_up_and_still_decompresses()
    {
        Random random = TestSeed.NewRandom();
        using ExactSealer sealer = new();
        using ZstdCodec codec = new();
        foreach (int length in (int[])[1, 100, 255, 256, 8192, 16384, 65536, 70_000])
        {
            byte[] plaintext = [.. random.NextBytes(length).Select(value => (byte)(value & 3))];
            byte[] back = new byte[length];
            byte[] room = new byte[ZstdCodec.GetMaxCompressedLength(length)];
            Assert.True(codec.TryCompress(plaintext, room, 3, out int least));
            for (int gap = 0; gap < 40; gap++)
            {
                byte[] frame = new byte[least + gap];
                Assert.True(sealer.TryCompress(plaintext, frame), $"{length} bytes in {frame.Length}");
                Assert.True(codec.TryDecompress(frame, back));
                Assert.Equal(plaintext, back);
            }

            Assert.False(sealer.TryCompress(plaintext, new byte[Math.Min(least, 8) / 2]));
        }
    }
}
