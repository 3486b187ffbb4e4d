using System.Diagnostics;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>What a search costs on a file system of many folders. QUENCH_SEARCH_COST=1000 makes and searches one of so many folders with fifty files each.</summary>
public sealed class FileSearchCostTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_search_reads_folders_and_the_inodes_of_what_it_finds_and_no_more()
    {
        Tool.Require("mke2fs");
        int folders = Knob.Number("QUENCH_SEARCH_COST", 40);
        using TempFolder folder = new();
        for (int index = 0; index < folders; index++)
        {
            string below = Directory.CreateDirectory(folder[$"content/{index / 100}/{index}"]).FullName;
            for (int file = 0; file < 50; file++)
            {
                File.WriteAllText(Path.Combine(below, $"file-{file}.{(file == 0 ? "bin" : "txt")}"), "something");
            }
        }

        string image = folder["made.img"];
        await Tool.RunAsync("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", folder["content"], "-N", $"{folders * 60}", image, $"{Math.Max(16, folders * 50 / 100)}M");
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        foreach ((string what, Func<string, bool> isWanted, int expected) in new (string, Func<string, bool>, int)[] { ("nothing", _ => false, 0), ("*.bin", path => path.EndsWith(".bin", StringComparison.Ordinal), folders), ("everything", _ => true, folders * 50) })
        {
            long start = Stopwatch.GetTimestamp();
            FileFindings found = Assert.Single(await FileSearch.RunAsync(volume, analysis, new EveryFile(isWanted), folders * 4L + 100 + (expected / 8), TestContext.Current.CancellationToken)).Found;
            output.WriteLine($"{what}: {found.Sums.GetValueOrDefault(0).Files} of {folders * 50} files in {folders} folders, {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms");
            Assert.Null(found.GivenUp);
            Assert.Equal(expected, found.Sums.GetValueOrDefault(0).Files);
        }
    }
}
