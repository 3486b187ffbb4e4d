using System.Globalization;
using Xunit;

namespace Quench.Tests;

/// <summary>Chance with a number: QUENCH_SEED replays a failure. The seed is written to the test's output.</summary>
internal static class TestSeed
{
    public static int Value { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("QUENCH_SEED"), CultureInfo.InvariantCulture, out int seed) ? seed : Environment.TickCount;

    public static Random NewRandom()
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"QUENCH_SEED={Value}");
        return new Random(Value);
    }

    public static byte[] NextBytes(this Random random, int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }
}
