using System.Globalization;

namespace Quench.Tests.FileSystems;

/// <summary>Numbers that the environment may make larger.</summary>
internal static class Knob
{
    public static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : otherwise;

    /// <summary>How many generated volumes are held against their witness.</summary>
    public static int WitnessCount(int otherwise) => Number("QUENCH_WITNESS_COUNT", otherwise);

    /// <summary>The number of the one volume that is to be made again; below 0 for none.</summary>
    public static int WitnessNumber => Number("QUENCH_WITNESS_NUMBER", -1);

    /// <summary>The seed of random tests.</summary>
    public static int Seed => Number("QUENCH_SEED", 20_251);

    /// <summary>The source of chance of one of many volumes under a seed.</summary>
    public static Random Chance(int seed, int number) => new(unchecked((seed * 1_000_003) + number));
}
