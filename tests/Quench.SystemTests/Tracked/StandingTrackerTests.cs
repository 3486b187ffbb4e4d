using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Tracked;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>The tracker that stands between backups, against a list of what was written: every round from a seed. QUENCH_ROUNDS says how many steps.</summary>
public sealed class StandingTrackerTests
{
    private const long FileSystemLength = 64L << 20;
    private const long DeviceLength = 9L << 30; // a discard of more than 4 GiB is in it
    private const int MaxWrite = 1 << 20;

    [Fact]
    public async Task What_was_written_since_a_point_is_in_the_answer_whatever_came_of_the_instants_in_between()
    {
        int seed = Chance.Seeds(1).Single();
        Random random = new(seed);
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, DeviceLength, fileSystemLength: FileSystemLength);
        using Work work = new(loop.Device, random);
        for (int step = 0; step < Chance.Count("QUENCH_ROUNDS", 120); step++)
        {
            string what = work.Step();
            Extent? missing = work.Missing();
            Assert.True(missing is null, $"seed {seed}, step {step} ({what}): nobody says that {missing} changed");
        }

        Assert.InRange(work.ShareNamed(), 0, 0.9); // it does not just say "everything"
    }

    [Fact]
    public async Task Only_one_backup_at_a_time_has_the_record()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, DeviceLength, fileSystemLength: FileSystemLength);
        using StandingTracker? first = StandingTracker.TryOpen(loop.Device, out _);
        Assert.NotNull(first);
        Assert.Null(StandingTracker.TryOpen(loop.Device, out string whyNot));
        Assert.Contains("another backup", whyNot, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_tracker_of_another_medium_is_dropped()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, DeviceLength, fileSystemLength: FileSystemLength);
        StandingFolder folder = StandingFolder.Of(DiskPlace.Of(loop.Device));
        StandingTracker.TryOpen(loop.Device, out _)!.Dispose();
        StandingFolder other = folder with { Name = folder.Name + "0" }; // another sequence number
        NativeFile.TryRenameNoReplace(folder.Objects, other.Objects);
        StandingFolder.Prepare();
        Assert.False(Directory.Exists(other.Objects));
    }

    /// <summary>Writes, discards and zeroes behind the file system, instants that are kept and instants that are not, and what must be known of them.</summary>
    private sealed class Work : IDisposable
    {
        private readonly string _device;
        private readonly Random _random;
        private readonly SafeFileHandle _disk;
        private readonly NativeBuffer _buffer = new(MaxWrite);
        private readonly Guid[] _vaults = [Guid.NewGuid(), Guid.NewGuid()];
        private readonly Dictionary<Guid, (Guid Point, List<Extent> Written)> _points = [];
        private StandingTracker _tracker;

        internal Work(string device, Random random)
        {
            _device = device;
            _random = random;
            _disk = NativeFile.Open(device, OpenMode.ReadWrite | OpenMode.Direct);
            _tracker = Open();
        }

        internal string Step()
        {
            switch (_random.Next(12))
            {
                case 0:
                    _tracker.BeginAtInstant();
                    return "an instant that came to nothing";
                case 1 or 2:
                    Keep(_vaults[_random.Next(2)]);
                    return "a point";
                case 3:
                    _tracker.Dispose();
                    _tracker = Open();
                    return "opened again";
                default:
                    Write(_points.Values.Select(point => point.Written));
                    return "a write";
            }
        }

        /// <summary>A range that was written since a point and is not in the answer; null when each is.</summary>
        internal Extent? Missing()
        {
            foreach ((Guid vault, (Guid point, List<Extent> written)) in _points)
            {
                VolumeChanges changes = _tracker.GetChanges(vault);
                Assert.True(changes.Point == point, changes.Doubt);
                foreach (Extent extent in written)
                {
                    UsedBlocks want = new(DeviceLength, StandingTracker.BlockSize);
                    want.Add(extent);
                    if (want.Bits.SetRuns().Any(run => changes.Changed!.Bits.NextClear(run.First, run.First + run.Count) < run.First + run.Count))
                    {
                        return extent;
                    }
                }
            }

            return null;
        }

        /// <summary>How much of the device the last answer names.</summary>
        internal double ShareNamed() => _points.Count == 0 ? 0 : (double)_tracker.GetChanges(_points.Keys.First()).Changed!.TotalLength / DeviceLength;

        public void Dispose()
        {
            _tracker.Dispose();
            _disk.Dispose();
            ((IDisposable)_buffer).Dispose();
        }

        private StandingTracker Open() => StandingTracker.TryOpen(_device, out string whyNot) ?? throw new InvalidOperationException(whyNot);

        private void Keep(Guid vault)
        {
            _tracker.BeginAtInstant();
            List<Extent> since = [];
            for (int more = _random.Next(3); more > 0; more--)
            {
                Write([since, .. _points.Values.Select(point => point.Written)]);
            }

            Guid point = Guid.NewGuid();
            Extent heard = Anywhere(MaxWrite);
            UsedBlocks late = new(DeviceLength, 4096);
            late.Add(heard);
            since.Add(heard);
            _tracker.Remember(vault, point, UsedBlocks.All(DeviceLength), late);
            _points[vault] = (point, since);
        }

        private void Write(IEnumerable<List<Extent>> into)
        {
            Extent extent = Anywhere(MaxWrite);
            switch (_random.Next(8))
            {
                case 0:
                    extent = Anywhere(_random.Next(5) == 0 ? 5L << 30 : 400L << 20);
                    Assert.SkipUnless(BlockDevice.TryDiscard(_disk, extent.Offset, extent.Length), "the loop device's file knows no discard");
                    break;
                case 1:
                    BlockDevice.TryZeroOut(_disk, extent.Offset, extent.Length);
                    break;
                default:
                    NativeFile.Write(_disk, _buffer.GetSpan()[..(int)extent.Length], extent.Offset);
                    break;
            }

            foreach (List<Extent> list in into)
            {
                list.Add(extent);
            }
        }

        private Extent Anywhere(long most)
        {
            long length = _random.NextInt64(1, most / 4096) * 4096;
            long first = _random.NextInt64((DeviceLength - FileSystemLength - length) / 4096);
            return new Extent(FileSystemLength + (first * 4096), length);
        }
    }
}
