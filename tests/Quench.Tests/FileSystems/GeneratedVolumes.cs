using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>Generated volumes of one kind, each held against its witnesses. QUENCH_SEED and QUENCH_WITNESS_COUNT say which, and how many; QUENCH_WITNESS_NUMBER names one to be made again.</summary>
internal static class GeneratedVolumes
{
    /// <summary>Makes volumes until as many as wanted could be made; demands that none differs from what its witnesses say.</summary>
    /// <param name="usually">How many, when nobody says.</param>
    /// <param name="output">Told the seed and the count.</param>
    /// <param name="tryAsync">
    /// Makes one from a source of chance, the volume's number and an empty folder: its recipe in words and how it differs. Null when its tools refused the recipe.
    /// </param>
    public static async Task HoldAsync(
        int usually, ITestOutputHelper output, Func<Random, int, TempFolder, Task<(string Recipe, IEnumerable<string> Differences)?>> tryAsync)
    {
        int wanted = Knob.WitnessNumber < 0 ? Knob.WitnessCount(usually) : 1;
        int seed = Knob.Seed;
        int made = 0;
        List<string> differences = [];
        for (int number = Math.Max(0, Knob.WitnessNumber); made < wanted; number++)
        {
            using TempFolder folder = new();
            if (await tryAsync(Knob.Chance(seed, number), number, folder) is var (recipe, found))
            {
                made++;
                differences.AddRange(found.Select(text => $"seed {seed}, number {number}: {recipe}: {text}"));
            }
        }

        output.WriteLine($"seed {seed}: {made} file systems held against their witnesses");
        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }
}
