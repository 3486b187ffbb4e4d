using System.Globalization;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>What the search for files finds on an image.</summary>
internal static class FoundFiles
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Holds what is found against what a witness says of the blocks of each file.</summary>
    /// <returns>How many files were held against it, and the first difference.</returns>
    public static async Task<(long Files, string? Difference)> CompareAsync(string image, Dictionary<string, HashSet<long>> witness)
    {
        FileFindings ours = await FindAsync(image, witness.ContainsKey);
        if (ours.GivenUp is not null || ours.DoubtCount > 0)
        {
            return (0, ours.GivenUp ?? string.Join(" | ", ours.Doubts));
        }

        HashSet<long> all = [.. ours.Data.Runs().SelectMany(run => Enumerable.Range(0, (int)(run.Length / ours.Data.BlockSize)).Select(index => (run.Offset / ours.Data.BlockSize) + index))];
        HashSet<long> theirs = [.. witness.Values.SelectMany(blocks => blocks)];
        if (!all.SetEquals(theirs))
        {
            return (0, string.Create(CultureInfo.InvariantCulture, $"blocks [{string.Join(' ', all.Except(theirs).Order().Take(9))}] are ours alone, [{string.Join(' ', theirs.Except(all).Order().Take(9))}] theirs"));
        }

        Dictionary<string, long> sizes = ours.Files.ToDictionary(file => file.Path, file => file.Bytes / ours.Data.BlockSize);
        string? wrong = witness.FirstOrDefault(file => sizes.GetValueOrDefault(file.Key) != file.Value.Count && ours.Files.Count < FileFindings.MostNamed).Key;
        return (witness.Count, wrong is null ? null : $"{wrong} has {sizes.GetValueOrDefault(wrong)} blocks by us, {witness[wrong].Count} by the witness");
    }

    /// <summary>Looks for files.</summary>
    public static async Task<FileFindings> FindAsync(string image, Func<string, bool> isWanted, long keptHead = 0)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        return Assert.Single(await FileSearch.RunAsync(volume, analysis, new EveryFile(isWanted, keptHead), long.MaxValue, Token)).Found;
    }
}
