using System.Globalization;
using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests;

/// <summary>The writers are held for the same few milliseconds whether the volume is small or huge.</summary>
public sealed class FreezeStallTests
{
    private const double WorstMilliseconds = 250; // on a loaded machine; the figures say what it really was

    [Fact]
    public async Task The_freeze_does_not_grow_with_the_volume()
    {
        Requires.LiveVolumes();
        List<double> small = await MeasureAsync(1L << 30);
        List<double> middle = await MeasureAsync(64L << 30);
        List<double> huge = await MeasureAsync(1L << 40);

        Assert.All((List<double>[])[small, middle, huge], times => Assert.True(Figures.Percentile(times, 0.99) <= WorstMilliseconds, $"p99 {Figures.Percentile(times, 0.99):0.0} ms"));
        double grown = Figures.Percentile(huge, 0.5) - Figures.Percentile(small, 0.5);
        Assert.True(grown <= 25, $"the median freeze grew by {grown:0.0} ms from 1 GiB to 1 TiB");
    }

    private static async Task<List<double>> MeasureAsync(long length)
    {
        int count = Chance.Count("QUENCH_FREEZES", 6);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, length, mountOptions: "noinit_itable");
        using StampWriter writer = StampWriter.OnNewFile(Path.Combine(volume.MountPoint, "stamps"), new StampField(1, 4096), written: true);
        List<double> times = [];
        for (int round = 0; round < count; round++)
        {
            await writer.MoreAsync(20);
            await using ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 << 20 });
            times.Add(snapshot.FreezeTime!.Value.TotalMilliseconds);
        }

        writer.Stop();
        Figures.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"freeze of {ByteSize.Format(length)}: {count} times, p50 {Figures.Percentile(times, 0.5):0.0} ms, p99 {Figures.Percentile(times, 0.99):0.0} ms; longest {string.Join(", ", times.OrderDescending().Take(5).Select(time => time.ToString("0.0", CultureInfo.InvariantCulture)))}"));
        return times;
    }
}
