using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots.Providers.Tracked;
using Xunit;

namespace Quench.Tests.Snapshots.Tracked;

/// <summary>The tracker in the running kernel, on loop devices of its own.</summary>
public sealed class DeviceTrackerTests
{
    private const int Block = DeviceTracker.DefaultBlockSize;
    private const long MiB = 1 << 20;

    [Fact]
    public async Task What_is_written_is_marked_and_nothing_else()
    {
        await using LoopDevice loop = await AttachAsync(64 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        Assert.Empty(Harvest(tracker));
        using DirectWriter writer = new(loop.Path);
        writer.Write(3 * Block, Block);
        writer.Write(63 * Block, 2 * Block); // over a word's edge
        writer.Write(1000 * Block, 512);     // a part of a block
        writer.Write(2000 * Block, 70 * Block);
        Assert.Equal([(3, 1), (63, 2), (1000, 1), (2000, 70)], Harvest(tracker));
        Assert.Empty(Harvest(tracker));
        writer.Write((64 * MiB) - 512, 512);
        Assert.Equal([((64 * MiB / Block) - 1, 1)], Harvest(tracker));
        Assert.Equal(74 * Block, tracker.CompletedBytes - 512 - 512 + Block);
    }

    [Fact]
    public async Task Every_random_write_is_marked_exactly()
    {
        await using LoopDevice loop = await AttachAsync(64 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        using DirectWriter writer = new(loop.Path);
        Random random = TestSeed.NewRandom();
        BlockBitmap model = new(64 * MiB / Block);
        TrackerCounters before = tracker.Missed;
        for (int round = 0; round < 40; round++)
        {
            for (int write = random.Next(1, 40); write > 0; write--)
            {
                int sectors = random.Next(1, random.Next(4) == 0 ? 2048 : 32);
                long sector = random.NextInt64((64 * MiB / 512) - sectors);
                writer.Write(sector * 512, sectors * 512);
                long first = sector * 512 / Block;
                model.SetRange(first, (((sector + sectors) * 512) - 1) / Block - first + 1);
            }

            List<(long, long)> found = [.. Harvest(tracker)];
            TrackerCounters now = tracker.Missed;
            if (!now.HasUnheardLandingsSince(before)) // otherwise there is more in it: some kernels run no program in interrupts of certain processes
            {
                Assert.Equal(model.SetRuns(), found);
            }

            before = now;
            model.ClearRange(0, model.Length);
        }
    }

    [Fact]
    public async Task Discards_and_zeroes_are_writes_too()
    {
        await using LoopDevice loop = await AttachAsync(256 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        using SafeFileHandle device = NativeFile.Open(loop.Path, OpenMode.ReadWrite | OpenMode.Direct);
        Assert.True(BlockDevice.TryZeroOut(device, 8 * MiB, 4 * Block));
        Assert.Equal([(8 * MiB / Block, 4)], Harvest(tracker));
        Assert.SkipUnless(BlockDevice.TryDiscard(device, 16 * MiB, 100 * MiB), "the loop device's file knows no discard");
        Assert.Equal([(16 * MiB / Block, 100 * MiB / Block)], Harvest(tracker)); // by the log of long ranges
    }

    [Fact]
    public async Task A_partition_is_tracked_in_its_own_bytes()
    {
        Requires.Root();
        Assert.SkipWhen(Quench.Interop.Bpf.KernelTypes.ReadRunning() is null, "needs a kernel with BTF");
        using TemporaryDirectory directory = new();
        Requires.Tool("addpart"); // the kernel is told of the partitions: it may know no partition table
        await File.WriteAllBytesAsync(directory["disk"], new byte[64 * MiB], TestContext.Current.CancellationToken);
        string disk = (await Tool.DemandAsync("losetup", "--find", "--show", "--partscan", directory["disk"])).Trim();
        try
        {
            await Tool.DemandAsync("addpart", disk, "1", "4096", "32768");
            await Tool.DemandAsync("addpart", disk, "2", "40960", "32768");
            string partition = disk + "p2";
            using DeviceTracker tracker = DeviceTracker.Start(partition);
            using DirectWriter whole = new(disk);
            using DirectWriter part = new(partition);
            part.Write(5 * Block, 2 * Block);
            whole.Write(2 * MiB, Block);                // the first partition
            whole.Write((20 * MiB) - Block, 2 * Block); // from before the second into it
            whole.Write((36 * MiB) - Block, 4 * Block); // from the second out of it
            Assert.Equal([(0, 1), (5, 2), ((16 * MiB / Block) - 1, 1)], Harvest(tracker));
            Assert.Equal(BlockDevice.CanZeroQuickly(disk), BlockDevice.CanZeroQuickly(partition));
        }
        finally
        {
            await Tool.DemandAsync("losetup", "--detach", disk);
        }
    }

    [Fact]
    public async Task Another_disk_is_not_heard()
    {
        await using LoopDevice loop = await AttachAsync(16 * MiB);
        await using LoopDevice other = await AttachAsync(16 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        using DirectWriter writer = new(other.Path);
        writer.Write(0, 100 * Block);
        Assert.Empty(Harvest(tracker));
        Assert.Equal(0, tracker.CompletedBytes);
    }

    [Fact]
    public async Task A_full_log_is_doubt_and_the_next_harvest_is_trusted_again()
    {
        await using LoopDevice loop = await AttachAsync(256 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path, logEntries: 2);
        using SafeFileHandle device = NativeFile.Open(loop.Path, OpenMode.ReadWrite | OpenMode.Direct);
        for (int range = 0; range < 4; range++)
        {
            Assert.SkipUnless(BlockDevice.TryDiscard(device, range * 64 * MiB, 32 * MiB), "the loop device's file knows no discard");
        }

        BlockBitmap marked = new(256 * MiB / Block);
        Assert.Contains("could not be noted", tracker.Harvest(marked), StringComparison.Ordinal);
        Assert.True(BlockDevice.TryDiscard(device, 64 * MiB, 32 * MiB));
        Assert.Equal([(64 * MiB / Block, 32 * MiB / Block)], Harvest(tracker));
    }

    [Fact]
    public async Task What_is_heard_is_what_the_disk_says_it_has_written()
    {
        const long Written = (100 * 4096) + (8 * MiB) + (4 * MiB);
        await using LoopDevice loop = await AttachAsync(64 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        TrackerCounters before = tracker.Missed;
        using (DirectWriter writer = new(loop.Path))
        {
            for (int write = 0; write < 100; write++)
            {
                writer.Write(write * 16 * Block, Block);
            }
        }

        using (SafeFileHandle device = NativeFile.Open(loop.Path, OpenMode.ReadWrite | OpenMode.Direct))
        {
            Assert.SkipUnless(BlockDevice.TryDiscard(device, 8 * MiB, 8 * MiB), "the loop device's file knows no discard");
            Assert.True(BlockDevice.TryZeroOut(device, 32 * MiB, 4 * MiB));
        }

        TrackerCounters after = tracker.Missed;
        Assert.Equal(before.UnheardQueued, after.UnheardQueued);
        Assert.InRange(after.UnheardLanded - before.UnheardLanded, 0, Written - 1); // some kernels run no program in interrupts of certain processes
        tracker.Unhear(TrackerLocal.QueuedBytes, Written); // the check can fail
        Assert.Equal(Written, tracker.Missed.UnheardQueued - before.UnheardQueued);
    }

    [Fact]
    public async Task When_a_landing_was_not_heard_all_that_was_ever_marked_is_copied_again()
    {
        await using LoopDevice loop = await AttachAsync(16 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        using DirectWriter writer = new(loop.Path);
        writer.Write(3 * Block, Block);
        Assert.Equal([(3, 1)], Harvest(tracker));
        writer.Write(9 * Block, Block);
        tracker.Unhear(TrackerLocal.LandedBytes, Block);
        Assert.Equal([(3, 1), (9, 1)], Harvest(tracker));
        Assert.Empty(Harvest(tracker));
    }

    [Fact]
    public async Task A_write_that_may_not_have_been_heard_at_all_is_doubt()
    {
        await using LoopDevice loop = await AttachAsync(16 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        tracker.Unhear(TrackerLocal.QueuedBytes, Block);
        Assert.Empty(Harvest(tracker)); // its landing was heard
        tracker.Unhear(TrackerLocal.LandedBytes, 2 * Block);
        tracker.Unhear(TrackerLocal.QueuedBytes, Block);
        Assert.Equal("8.00 KiB were written that the tracker may not have heard of at all", tracker.Harvest(new BlockBitmap(16 * MiB / Block)));
        Assert.Empty(Harvest(tracker));
    }

    [Fact]
    public async Task That_a_write_was_not_heard_when_submitted_counts_though_it_shows_later_than_its_landing()
    {
        await using LoopDevice loop = await AttachAsync(16 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        tracker.Unhear(TrackerLocal.LandedBytes, Block);
        Assert.Empty(Harvest(tracker)); // what is under way hides the other end
        tracker.Unhear(TrackerLocal.QueuedBytes, Block);
        Assert.Contains("may not have heard of at all", tracker.Harvest(new BlockBitmap(16 * MiB / Block)), StringComparison.Ordinal);
        Assert.Empty(Harvest(tracker));
    }

    [Fact]
    public async Task Programs_that_do_not_run_any_more_are_doubt()
    {
        await using LoopDevice loop = await AttachAsync(16 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        tracker.Detach();
        Assert.Contains("do not run any more", tracker.Harvest(new BlockBitmap(16 * MiB / Block)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_resized_device_is_refused()
    {
        await using LoopDevice loop = await AttachAsync(16 * MiB);
        using DeviceTracker tracker = DeviceTracker.Start(loop.Path);
        string file = (await File.ReadAllTextAsync($"/sys/block/{Path.GetFileName(loop.Path)}/loop/backing_file", TestContext.Current.CancellationToken)).Trim();
        await using (FileStream backing = File.OpenWrite(file))
        {
            backing.SetLength(32 * MiB);
        }

        await Tool.DemandAsync("losetup", "--set-capacity", loop.Path);
        QuenchException failure = Assert.Throws<QuenchException>(() => tracker.Harvest(new BlockBitmap(16 * MiB / Block)));
        Assert.Equal("SNAP-183", failure.Code);
        Assert.Contains("resized", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_device_is_refused()
    {
        QuenchException failure = Assert.Throws<QuenchException>(() => DeviceTracker.Start("/dev/null"));
        Assert.Equal("SNAP-182", failure.Code);
    }

    private static Task<LoopDevice> AttachAsync(long length)
    {
        Requires.Root();
        Assert.SkipWhen(Quench.Interop.Bpf.KernelTypes.ReadRunning() is null, "needs a kernel with BTF");
        return LoopDevice.AttachAsync(length);
    }

    private static IEnumerable<(long First, long Count)> Harvest(DeviceTracker tracker)
    {
        BlockBitmap marked = new(tracker.Length / Block);
        Assert.Null(tracker.Harvest(marked));
        return marked.SetRuns();
    }

    private sealed class DirectWriter(string device) : IDisposable
    {
        private readonly SafeFileHandle _device = NativeFile.Open(device, OpenMode.ReadWrite | OpenMode.Direct);
        private readonly NativeBuffer _buffer = new((int)(2 * MiB));

        public void Write(long offset, int length) => NativeFile.Write(_device, _buffer.GetSpan()[..length], offset);

        public void Dispose()
        {
            ((IDisposable)_buffer).Dispose();
            _device.Dispose();
        }
    }
}
