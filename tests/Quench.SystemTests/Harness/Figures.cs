using Xunit;

namespace Quench.SystemTests.Harness;

/// <summary>Figures for people: in the test's output, and appended to the file that QUENCH_FIGURES names.</summary>
internal static class Figures
{
    internal static void Say(string line)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(line);
        if (Environment.GetEnvironmentVariable("QUENCH_FIGURES") is { Length: > 0 } path)
        {
            File.AppendAllText(path, line + "\n");
        }
    }

    /// <summary>The smallest value that this share of all values does not exceed (nearest rank).</summary>
    internal static double Percentile(IReadOnlyCollection<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        return sorted[Math.Clamp((int)Math.Ceiling(share * sorted.Length) - 1, 0, sorted.Length - 1)];
    }
}
