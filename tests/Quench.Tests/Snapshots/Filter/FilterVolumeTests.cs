using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter;
using Xunit;

namespace Quench.Tests.Snapshots.Filter;

public sealed class FilterVolumeTests : IAsyncDisposable
{
    private const int Block = 4096;
    private const int Mebibyte = 1 << 20;
    private const int Length = 64 * Mebibyte;

    private readonly TemporaryDirectory _folder = new();
    private readonly byte[] _content = new byte[Length];
    private readonly Disk _origin;
    private readonly FilterVolume _volume;

    public FilterVolumeTests()
    {
        TestSeed.NewRandom().NextBytes(_content);
        string path = Path.Combine(_folder.Path, "origin");
        File.WriteAllBytes(path, _content);
        _origin = ImageFile.Open(path, DeviceAccess.ReadWrite, exclusive: false);
        _volume = new FilterVolume(_origin, Block, new TrackingStart(null, "a test"));
    }

    public async ValueTask DisposeAsync()
    {
        await _origin.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public void A_discard_of_everything_over_a_slow_and_healthy_diff_area_is_kept_whole()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        TimeSpan budget = TimeSpan.FromSeconds(2);
        ActiveSnapshot snapshot = TakeWithSpill(budget);
        trouble.Slow(TimeSpan.FromMilliseconds(25)); // 256 KiB at a time by two threads: 20 MiB/s at most, so all of it waits longer than a write may, and a mebibyte of it hardly
        _volume.PunchHole(Extent.FromTo(0, Length));
        Assert.Null(snapshot.State.Broken?.Detail);
        Assert.InRange(snapshot.Costs().SaveWait, 1, budget.TotalMilliseconds);

        byte[] live = new byte[Length];
        _volume.Read(0, live);
        Assert.False(live.AsSpan().ContainsAnyExcept((byte)0));
        SnapshotFile reader = new(_volume, snapshot);
        byte[] kept = new byte[Length];
        for (int at = 0; at < Length; at += Mebibyte)
        {
            reader.Read(at, kept.AsSpan(at, Mebibyte));
        }

        Assert.True(kept.AsSpan().SequenceEqual(_content));
        _volume.Deactivate(snapshot);
    }

    [Fact]
    public void A_diff_area_that_hangs_costs_a_discard_its_wait_once_and_the_snapshot()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        ActiveSnapshot snapshot = TakeWithSpill();
        trouble.Hang();
        _volume.PunchHole(Extent.FromTo(0, Length));
        Assert.Contains("a write had waited 250 ms for the spill file", snapshot.State.Broken?.Detail, StringComparison.Ordinal);
        byte[] live = new byte[Length];
        _volume.Read(0, live);
        Assert.False(live.AsSpan().ContainsAnyExcept((byte)0));
        trouble.Let();
        _volume.Deactivate(snapshot);
    }

    private ActiveSnapshot TakeWithSpill(TimeSpan? budget = null)
    {
        ControlRequest request = new() { Op = "prepare", MemoryBytes = Mebibyte, CapBytes = 2 * Length, SpillFolder = _folder.Path, LimitMilliseconds = 20_000 };
        ActiveSnapshot snapshot = ActiveSnapshot.Prepare(_volume, request, _ => { }, budget);
        _volume.Activate(snapshot, TimeSpan.FromSeconds(20));
        return snapshot;
    }
}
