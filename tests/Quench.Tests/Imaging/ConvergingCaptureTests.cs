using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Tracked;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Imaging;

/// <summary>Captures in passes of a volume in memory that is written between and during its reads, every round from a seed.</summary>
public sealed class ConvergingCaptureTests
{
    private const int Sector = 512;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_image_is_the_volume_at_the_hold_whatever_was_written_meanwhile()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await TestVault.NewAsync(Token);
        for (int round = 0; round < 20; round++)
        {
            await using WrittenVolume volume = new(random, random.Next(1, 6000) * Sector);
            CaptureResult result = await CaptureAsync(vault, volume, new ActivityMonitor(TimeProvider.System));
            Assert.Equal(volume.Held, await ReadImageAsync(vault, result.Volume));
            Assert.Equal(("converging", "file-system", 7.0), (result.Volume.Provider, result.Volume.Grade, result.Volume.FreezeMilliseconds));
            Assert.Contains("passes", result.Volume.Scan!.Reason, StringComparison.Ordinal);
            Assert.True(result.Volume.Scan.ReadBytes >= volume.Held!.Length, "less than the volume was read");
        }

        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_capture_upon_an_earlier_point_is_the_volume_at_its_own_hold()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await TestVault.NewAsync(Token);
        for (int round = 0; round < 10; round++)
        {
            await using WrittenVolume volume = new(random, random.Next(1, 6000) * Sector);
            CaptureResult first = await CaptureAsync(vault, volume, new ActivityMonitor(TimeProvider.System));
            Assert.Equal((ScanRecord.Full, null), (first.Volume.Scan!.Kind, first.Volume.Scan.Base));
            RecoveryPoint before = first.Point;
            for (int more = random.Next(1, 4); more > 0; more--)
            {
                volume.Next();
                CaptureResult next = await CaptureAsync(vault, volume, new ActivityMonitor(TimeProvider.System));
                Assert.Equal(volume.Held, await ReadImageAsync(vault, next.Volume));
                Assert.Equal((ScanRecord.Changes, before.Id), (next.Volume.Scan!.Kind, next.Volume.Scan.Base)); // what was written while the sample was read is not held against the record
                Assert.Empty(next.Warnings);
                before = next.Point;
            }
        }
    }

    [Fact]
    public async Task Volumes_of_a_set_become_one_point_each_as_it_was_when_all_were_held()
    {
        Random random = TestSeed.NewRandom();
        await using BackupVault vault = await TestVault.NewAsync(Token);
        for (int round = 0; round < 10; round++)
        {
            await using WrittenSet set = new([.. Enumerable.Range(0, random.Next(2, 4)).Select(_ => new WrittenVolume(random, random.Next(1, 4000) * Sector))]);
            for (int more = random.Next(1, 3); more > 0; more--)
            {
                CaptureRequest[] requests = [.. set.Volumes.Select((volume, index) => Request(volume, $"vol{index}"))];
                CaptureResult result = await VolumeCapture.RunAsync(requests, set, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, Token);
                Assert.Equal(requests.Select(request => request.Name), result.Point.Volumes.Select(volume => volume.Name));
                Assert.Equal(result.Totals.NewChunkBytes, result.Point.Volumes.Sum(volume => volume.NewBytes));
                Assert.InRange(result.Totals.StoredBytes - result.Point.Volumes.Sum(volume => volume.StoredBytes), 0, 64 << 10); // the rest is the point's own
                Assert.Equal("file-system", result.Grade);
                foreach ((WrittenVolume volume, VolumeRecord record) in set.Volumes.Zip(result.Point.Volumes))
                {
                    Assert.Equal(volume.Held, await ReadImageAsync(vault, record));
                    volume.Next();
                }
            }
        }

        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_set_of_which_one_gives_up_leaves_no_point()
    {
        await using BackupVault vault = await TestVault.NewAsync(Token);
        Random random = TestSeed.NewRandom();
        await using WrittenSet set = new([new WrittenVolume(random, 300 * Sector), new WrittenVolume(random, 3000 * Sector) { GivesUp = true }]);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => VolumeCapture.RunAsync(
            [Request(set.Volumes[0], "a"), Request(set.Volumes[1], "b")], set, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, Token));
        Assert.Equal("SNAP-184", failure.Code);
        Assert.Empty(await vault.ListPointsAsync(Token));
    }

    [Fact]
    public async Task A_record_of_changes_that_lies_is_found_out_and_everything_is_read()
    {
        await using BackupVault vault = await TestVault.NewAsync(Token);
        await using WrittenVolume volume = new(TestSeed.NewRandom(), 3000 * Sector) { IsQuiet = true };
        await CaptureAsync(vault, volume, new ActivityMonitor(TimeProvider.System));
        volume.Next();
        volume.WriteAllUnheard();
        CaptureResult next = await CaptureAsync(vault, volume, new ActivityMonitor(TimeProvider.System));
        Assert.Equal(volume.Held, await ReadImageAsync(vault, next.Volume));
        Assert.Equal(ScanRecord.FullAfterDoubt, next.Volume.Scan!.Kind);
        Assert.Contains("no write to it is on record", next.Volume.Scan.MapDistrusted, StringComparison.Ordinal);
        Assert.Single(next.Warnings);
    }

    [Fact]
    public async Task A_snapshot_that_gives_up_leaves_no_point()
    {
        await using BackupVault vault = await TestVault.NewAsync(Token);
        await using WrittenVolume volume = new(TestSeed.NewRandom(), 3000 * Sector) { GivesUp = true };
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => CaptureAsync(vault, volume, new ActivityMonitor(TimeProvider.System)));
        Assert.Equal("SNAP-184", failure.Code);
        Assert.Empty(await vault.ListPointsAsync(Token));
    }

    [Fact]
    public async Task What_the_map_was_read_from_is_read_again_only_where_it_changed()
    {
        MemoryDevice device = new(1 << 20, Sector);
        ScriptedSnapshot watched = new(device);
        MapReader map = new(() => watched.Reader);
        byte[] bytes = new byte[4096];
        await map.ReadAsync(0, bytes, Token);
        await map.ReadAsync(200_000 / Sector * Sector, bytes, Token);
        int reads = watched.Reads.Count;
        UsedBlocks changed = new(1 << 20, 4096);
        changed.Add(new Extent(0, 1));
        device.Write(0, [1, 2, 3, .. new byte[Sector - 3]]);
        map.Forget(changed);
        await map.ReadAsync(0, bytes, Token);
        await map.ReadAsync(200_000 / Sector * Sector, new byte[4096], Token);
        Assert.Equal([1, 2, 3], bytes[..3]);
        Assert.Equal(reads + 1, watched.Reads.Count);
    }

    private static Task<CaptureResult> CaptureAsync(BackupVault vault, WrittenVolume volume, ActivityMonitor activity) =>
        VolumeCapture.RunAsync(Request(volume, "vol"), vault, activity, TimeProvider.System, Token);

    private static CaptureRequest Request(WrittenVolume volume, string name) => new()
    {
        Snapshot = volume,
        Analysis = VolumeAnalysis.AllInUse(volume.Reader.Geometry.Length),
        Name = name,
        Host = "host",
        Settings = new CaptureSettings { ReadLanes = 2, WorkLanes = 2, SegmentBytes = 1 << 16 },
    };

    private static async Task<byte[]> ReadImageAsync(BackupVault vault, VolumeRecord record)
    {
        await using IBlockReader image = vault.OpenImage(record);
        byte[] all = new byte[image.Geometry.Length];
        await image.ReadAsync(0, all, Token);
        return all;
    }

    /// <summary>Volumes that are held together: the first time in vain.</summary>
    private sealed class WrittenSet(IReadOnlyList<WrittenVolume> volumes) : IConvergingSet
    {
        public IReadOnlyList<WrittenVolume> Volumes => volumes;

        public IReadOnlyList<IConvergingSnapshot> Members => volumes;

        public async ValueTask<bool> HoldAsync(IReadOnlyList<Func<UsedBlocks, ValueTask<UsedBlocks>>> choices, CancellationToken cancellationToken)
        {
            bool areAll = true;
            foreach ((WrittenVolume volume, Func<UsedBlocks, ValueTask<UsedBlocks>> choose) in volumes.Zip(choices))
            {
                areAll &= await volume.HoldAsync(choose, cancellationToken);
            }

            return areAll;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (WrittenVolume volume in volumes)
            {
                await volume.DisposeAsync();
            }
        }
    }

    /// <summary>Each read of it is followed by a few writes, until it is held; each write is marked. It is held after a few passes, the first time in vain.</summary>
    private sealed class WrittenVolume : IConvergingSnapshot, IChangeHistory
    {
        private readonly Lock _gate = new(); // guards what follows
        private readonly Random _random;
        private readonly MemoryDevice _device;
        private readonly byte[] _content;
        private readonly ScriptedSnapshot _live;
        private readonly HeldRest _rest;
        private readonly int _passes;
        private UsedBlocks _marks;
        private UsedBlocks _sincePoint;
        private UsedBlocks _sinceHold;
        private Guid? _point;
        private int _asked;
        private int _holds;
        private bool _isFrozen;

        public WrittenVolume(Random random, int length)
        {
            _random = new Random(random.Next());
            _content = _random.NextBytes(length);
            _device = new MemoryDevice(length, Sector);
            _device.Write(0, _content);
            _live = new ScriptedSnapshot(_device)
            {
                BeforeRead = (_, _, _) =>
                {
                    WriteSome();
                    return ValueTask.CompletedTask;
                },
            };
            _rest = new HeldRest(_device.Geometry, length);
            _passes = _random.Next(1, 5);
            _marks = UsedBlocks.All(length);
            (_sincePoint, _sinceHold) = (new UsedBlocks(length, 4096), new UsedBlocks(length, 4096));
        }

        public bool GivesUp { get; init; }

        /// <summary>Nobody writes by himself.</summary>
        public bool IsQuiet { get; init; }

        /// <summary>The volume at the instant.</summary>
        public byte[]? Held { get; private set; }

        public string Volume => "/dev/written";

        public string Provider => "converging";

        public DateTimeOffset Instant { get; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

        public SnapshotGrade Grade => Held is null ? SnapshotGrade.Crash : SnapshotGrade.FileSystem;

        public TimeSpan? FreezeTime => Held is null ? null : TimeSpan.FromMilliseconds(7);

        public IReadOnlyList<string> Doubts => [];

        public IBlockReader Reader => Held is null ? _live.Reader : _rest;

        public ValueTask<UsedBlocks> TakeChangesAsync(CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                UsedBlocks taken = _marks;
                _marks = new UsedBlocks(_content.Length, 4096);
                return ValueTask.FromResult(taken);
            }
        }

        public bool ShouldHold(long leftBytes) => !GivesUp || _asked < 3
            ? ++_asked > _passes && !GivesUp
            : throw new QuenchException("SNAP-184", "it is written faster than it is read", "wait");

        public async ValueTask<bool> HoldAsync(Func<UsedBlocks, ValueTask<UsedBlocks>> choose, CancellationToken cancellationToken)
        {
            WriteSome();
            _isFrozen = true;
            UsedBlocks wanted = await choose(await TakeChangesAsync(cancellationToken));
            if (_holds++ == 0)
            {
                _isFrozen = false;
                WriteSome();
                return false;
            }

            await _rest.FillAsync(_live.Reader, wanted);
            Held = [.. _content];
            _sinceHold = new UsedBlocks(_content.Length, 4096);
            _isFrozen = false;
            WriteSome();
            return true;
        }

        /// <summary>The next snapshot of the same volume.</summary>
        public void Next()
        {
            lock (_gate)
            {
                (Held, _asked, _holds) = (null, 0, 0);
                _marks = UsedBlocks.All(_content.Length);
            }
        }

        /// <summary>Writes all of it, and nobody hears it.</summary>
        public void WriteAllUnheard()
        {
            lock (_gate)
            {
                _random.NextBytes(_content);
                _device.Write(0, _content);
            }
        }

        public ValueTask<VolumeChanges> GetChangesAsync(Guid vault, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                UsedBlocks none = new(_content.Length, 4096);
                return ValueTask.FromResult(_point is null
                    ? VolumeChanges.Unknown("nothing is on record")
                    : new VolumeChanges(_point, none.With(_sincePoint), none, UsedBlocks.All(_content.Length), null));
            }
        }

        public ValueTask RememberAsync(Guid vault, Guid point, UsedBlocks used, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                (_point, _sincePoint) = (point, _sinceHold);
                return ValueTask.CompletedTask;
            }
        }

        public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => ValueTask.FromResult(default(DiffAreaStatus));

        public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) =>
            ValueTask.FromResult<IReadOnlyList<Extent>>([]);

        public ValueTask DisposeAsync() => _rest.DisposeAsync();

        private void WriteSome()
        {
            lock (_gate)
            {
                for (int writes = _isFrozen || IsQuiet ? 0 : _random.Next(4); writes > 0; writes--)
                {
                    int sector = _random.Next(_content.Length / Sector);
                    int length = Sector * _random.Next(1, Math.Min(16, (_content.Length / Sector) - sector) + 1);
                    Span<byte> bytes = _content.AsSpan(sector * Sector, length);
                    if (_random.Next(4) == 0)
                    {
                        bytes.Clear();
                    }
                    else
                    {
                        _random.NextBytes(bytes);
                    }

                    _device.Write(sector * Sector, bytes);
                    Extent written = new(sector * Sector, length);
                    _marks.Add(written);
                    _sincePoint.Add(written);
                    _sinceHold.Add(written);
                }
            }
        }
    }
}
