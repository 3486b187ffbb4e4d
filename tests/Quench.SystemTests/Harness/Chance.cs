using System.Globalization;
using System.Security.Cryptography;

namespace Quench.SystemTests.Harness;

/// <summary>How often and with which seeds. QUENCH_SEED replays the round that printed it: with QUENCH_ROUNDS=1, that round alone.</summary>
internal static class Chance
{
    /// <summary>A number from the environment.</summary>
    internal static int Count(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int count) && count > 0 ? count : otherwise;

    /// <summary>One seed for each round; the first is QUENCH_SEED's when that is set.</summary>
    internal static IEnumerable<int> Seeds(int rounds)
    {
        int first = Count("QUENCH_SEED", RandomNumberGenerator.GetInt32(1, 1_000_000_000));
        return Enumerable.Range(first, rounds);
    }
}
