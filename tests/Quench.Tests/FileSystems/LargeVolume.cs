using System.Diagnostics;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>What it costs to map a large volume.</summary>
internal static class LargeVolume
{
    /// <summary>Maps an image; demands that it is mapped, and that little is allocated for it.</summary>
    /// <param name="image">A sparse file: reading it takes no time to speak of.</param>
    /// <param name="mostBytes">The most that may be allocated; of what is reserved for bitmaps only the touched pages become memory.</param>
    /// <param name="output">Told what it took.</param>
    public static async Task<VolumeAnalysis> MapAsync(string image, long mostBytes, ITestOutputHelper output)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        long before = GC.GetAllocatedBytesForCurrentThread();
        long start = Stopwatch.GetTimestamp();
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        TimeSpan taken = Stopwatch.GetElapsedTime(start);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        output.WriteLine($"{taken.TotalMilliseconds:0} ms, {allocated >> 20} MiB of address space, {ours.Used.TotalLength >> 20} MiB in use, blocks of {ours.Used.BlockSize}");
        Assert.Null(ours.Doubt);
        Assert.InRange(allocated, 1, mostBytes);
        return ours;
    }
}
