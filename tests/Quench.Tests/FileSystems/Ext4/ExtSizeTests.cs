using System.Diagnostics;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>A large file system costs what its bitmaps cost.</summary>
public sealed class ExtSizeTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_file_system_of_a_tebibyte_takes_little_more_memory_than_its_bitmap()
    {
        Tool.Require("mke2fs", "truncate", "dumpe2fs");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "1T", folder["large.img"]);
        await Tool.RunAsync("mke2fs", "-q", "-F", "-t", "ext4", folder["large.img"]);

        await using TestVolume volume = TestVolume.OverFile(folder["large.img"]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        long start = Stopwatch.GetTimestamp();
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        TimeSpan taken = Stopwatch.GetElapsedTime(start);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        output.WriteLine($"{taken.TotalMilliseconds:0} ms, {allocated >> 20} MiB of address space, {ours.Used.TotalLength >> 20} MiB in use");
        Assert.Null(ours.Doubt);
        Assert.InRange(allocated, 1, (2 * 32 + 4) << 20); // the map and the claims at one bit for each of 2^28 blocks, and the rest
        Assert.Null(ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(folder["large.img"])));
    }
}
