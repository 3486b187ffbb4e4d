using System.Diagnostics;
using Quench.Vault.Parity;
using Xunit;

namespace Quench.Tests.Vault.Parity;

/// <summary>The field and its kernels against a model without tables: polynomials multiplied bit by bit.</summary>
public sealed class GaloisTests
{
    public static TheoryData<int> Ways => [.. Enum.GetValues<GaloisWay>().Select(way => (int)way)];

    [Fact]
    public void The_field_multiplies_as_polynomials_do()
    {
        for (int a = 0; a < 256; a++)
        {
            for (int b = 0; b < 256; b++)
            {
                Assert.Equal(Naive((byte)a, (byte)b), GaloisField.Multiply((byte)a, (byte)b));
            }

            if (a > 0)
            {
                Assert.Equal(1, GaloisField.Multiply((byte)a, GaloisField.Inverse((byte)a)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Every_kernel_adds_what_the_model_adds_for_every_factor_and_byte(int number)
    {
        GaloisWay way = (GaloisWay)number;
        Assert.SkipUnless(GaloisKernel.IsSupported(way), $"this processor has no {way}");
        Random random = TestSeed.NewRandom();
        for (int factor = 0; factor < 256; factor++)
        {
            int length = 256 + random.Next(200); // all bytes, and a rest that fills no vector
            byte[] source = random.NextBytes(length);
            for (int i = 0; i < 256; i++)
            {
                source[i] = (byte)i;
            }

            byte[] into = random.NextBytes(length);
            byte[] expected = [.. into.Zip(source, (sum, value) => (byte)(sum ^ Naive((byte)factor, value)))];
            GaloisKernel.MultiplyAdd(way, into, source, (byte)factor);
            Assert.Equal(expected, into);
        }
    }

    [Fact]
    public void Kernels_allocate_nothing()
    {
        byte[] into = new byte[4096];
        byte[] source = new byte[4096];
        GaloisKernel.MultiplyAdd(into, source, 7);
        long before = GC.GetAllocatedBytesForCurrentThread();
        GaloisKernel.MultiplyAdd(into, source, 7);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Theory]
    [Trait("Kind", "Probe")]
    [MemberData(nameof(Ways))]
    public void What_a_kernel_costs(int number)
    {
        GaloisWay way = (GaloisWay)number;
        Assert.SkipUnless(GaloisKernel.IsSupported(way), $"this processor has no {way}");
        byte[] into = new byte[4096];
        byte[] source = new Random(1).NextBytes(4096);
        int rounds = way == GaloisWay.Scalar ? 20_000 : 400_000;
        for (int i = 0; i < 1000; i++)
        {
            GaloisKernel.MultiplyAdd(way, into, source, 29);
        }

        Stopwatch watch = Stopwatch.StartNew();
        for (int i = 0; i < rounds; i++)
        {
            GaloisKernel.MultiplyAdd(way, into, source, 29);
        }

        string figure = $"{way}: {rounds * 4096.0 / (1 << 30) / watch.Elapsed.TotalSeconds:0.0} GiB/s in the cache, one core";
        TestContext.Current.SendDiagnosticMessage(figure);
        TestContext.Current.TestOutputHelper?.WriteLine(figure);
        Assert.True(watch.Elapsed > TimeSpan.Zero);
    }

    private static byte Naive(byte a, byte b)
    {
        int product = 0;
        for (int bit = 0; bit < 8; bit++)
        {
            product ^= ((b >> bit) & 1) * (a << bit);
        }

        for (int bit = 14; bit >= 8; bit--)
        {
            product ^= ((product >> bit) & 1) * (0x11D << (bit - 8));
        }

        return (byte)product;
    }
}
