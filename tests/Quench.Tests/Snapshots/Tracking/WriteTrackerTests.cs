using System.Collections.Concurrent;
using System.Diagnostics;
using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots;
using Quench.Snapshots.Tracking;
using Xunit;

namespace Quench.Tests.Snapshots.Tracking;

/// <summary>The shell: what a failing or hanging state disk does to writes.</summary>
[Collection("alone")] // its limits are a fifth of a second of real time
public sealed class WriteTrackerTests
{
    private const long Length = 1L << 30;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);
    private static readonly TrackingPace s_pace = new() { WriteLimit = TimeSpan.FromMilliseconds(200), Interval = TimeSpan.FromMilliseconds(5) };

    [Fact]
    public void Without_a_point_nothing_is_written_and_no_write_waits()
    {
        TestMedium medium = new();
        using WriteTracker tracker = New(medium, out _);

        tracker.BeforeWrite(new Extent(0, 4096));

        Assert.Equal(0, medium.Writes);
        Assert.Null(tracker.Find(Guid.NewGuid(), Advance(tracker)).Bytes);
    }

    [Fact]
    public void A_write_lands_only_when_its_intent_is_durable()
    {
        TestMedium medium = new();
        using WriteTracker tracker = New(medium, out _);
        Remember(tracker, out _);
        medium.ForgetSyncs();

        tracker.BeforeWrite(new Extent(5L * ChangeMap.RegionSize, 4096));

        Assert.True(medium.IntentSyncs > 0);
    }

    [Fact]
    public void Many_writers_share_a_sync()
    {
        TestMedium medium = new();
        using WriteTracker tracker = New(medium, out _, new TrackingPace { Interval = s_patience });
        Remember(tracker, out _);
        using ManualResetEventSlim holding = new();
        medium.HoldSync = holding;
        Thread[] writers = [.. Enumerable.Range(0, 8).Select(index => new Thread(() => tracker.BeforeWrite(new Extent((long)index * ChangeMap.RegionSize, 4096))))];
        foreach (Thread writer in writers)
        {
            writer.Start();
        }

        Assert.True(SpinWait.SpinUntil(() => writers.All(writer => writer.ThreadState.HasFlag(System.Threading.ThreadState.WaitSleepJoin)), s_patience));
        medium.ForgetSyncs();
        holding.Set();
        Assert.All(writers, writer => Assert.True(writer.Join(s_patience)));

        Assert.InRange(medium.IntentSyncs, 1, 3); // the one that was held, the one for all that came meanwhile, and one that was just over
    }

    [Fact]
    public void A_state_disk_that_fails_costs_the_tracking_and_no_write()
    {
        TestMedium medium = new();
        using WriteTracker tracker = New(medium, out ConcurrentQueue<string> givenUp);
        Remember(tracker, out Guid vault);
        medium.Failure = new LinuxErrorException(Errno.EIO, "write", "state");

        tracker.BeforeWrite(new Extent(5L * ChangeMap.RegionSize, 4096));

        Assert.Contains("EIO", Assert.Single(givenUp), StringComparison.Ordinal);
        StoredChanges changes = tracker.Find(vault, Advance(tracker));
        Assert.Null(changes.Bytes);
        Assert.Contains("can't be written", changes.Doubt, StringComparison.Ordinal);
    }

    [Fact]
    public void A_state_disk_that_hangs_holds_a_write_no_longer_than_the_limit()
    {
        TestMedium medium = new();
        using WriteTracker tracker = New(medium, out ConcurrentQueue<string> givenUp);
        Remember(tracker, out _);
        using ManualResetEventSlim holding = new();
        medium.HoldSync = holding;
        long since = Stopwatch.GetTimestamp();

        tracker.BeforeWrite(new Extent(5L * ChangeMap.RegionSize, 4096));

        Assert.InRange(Stopwatch.GetElapsedTime(since), s_pace.WriteLimit / 2, s_patience);
        Assert.Contains("took longer", Assert.Single(givenUp), StringComparison.Ordinal);
        tracker.BeforeWrite(new Extent(9L * ChangeMap.RegionSize, 4096)); // goes through at once
        holding.Set();
        Assert.True(SpinWait.SpinUntil(() => medium.Slots.All(slot => slot?.Condition == CheckpointCondition.Revoked), s_patience));
    }

    [Fact]
    public void A_quiet_region_is_let_go_of_when_a_checkpoint_tells_its_changes()
    {
        TestMedium medium = new();
        using WriteTracker tracker = New(medium, out _);
        Remember(tracker, out Guid vault);

        tracker.BeforeWrite(new Extent(5L * ChangeMap.RegionSize, 4096));

        Assert.True(SpinWait.SpinUntil(() => medium.IsIntentsClear && medium.Newest!.Changed.CountWith(null) == 1, s_patience));
        VolumeChanges changes = tracker.Find(vault, Advance(tracker)).Decode(Length);
        Assert.Equal([new Extent(5L * ChangeMap.RegionSize, ChangeMap.GrainSize)], changes.Changed!.Runs());
        Assert.Null(changes.Doubt);
    }

    [Fact]
    public void The_ninth_vault_makes_the_first_one_forgotten_and_says_so()
    {
        using WriteTracker tracker = New(new TestMedium(), out _);
        Remember(tracker, out Guid first);
        Generation since = null!;
        for (int vault = 0; vault < ChangeTracker.MaxMarks; vault++)
        {
            since = Remember(tracker, out _);
        }

        Assert.Contains(first.ToString(), tracker.Find(first, since).Doubt, StringComparison.Ordinal);
        Assert.Contains(first.ToString(), tracker.Status().Lost, StringComparison.Ordinal);
    }

    private static WriteTracker New(TestMedium medium, out ConcurrentQueue<string> givenUp, TrackingPace? pace = null)
    {
        Guid state = Guid.NewGuid();
        ConcurrentQueue<string> said = givenUp = [];
        OriginFacts origin = new(Length, "origin", "stamp", "boot", false);
        return new WriteTracker(new ChangeTracker(Length, state, 0, []), medium, new TrackingSession(state, Guid.NewGuid(), origin), "", pace ?? s_pace, said.Enqueue);
    }

    private static Generation Advance(WriteTracker tracker)
    {
        Generation fresh = tracker.NewGeneration();
        tracker.Advance(fresh);
        return fresh;
    }

    private static Generation Remember(WriteTracker tracker, out Guid vault)
    {
        Generation since = Advance(tracker);
        vault = Guid.NewGuid();
        tracker.Remember(vault, Guid.NewGuid(), BlockRuns.Encode(UsedBlocks.All(Length)), since);
        return since;
    }

    /// <summary>A medium in memory that fails or hangs when told to.</summary>
    private sealed class TestMedium : ITrackingMedium
    {
        private readonly ConcurrentDictionary<int, byte[]> _pages = [];
        private int _writes;
        private int _syncs;

        public Exception? Failure { get; set; }

        public ManualResetEventSlim? HoldSync { get; set; }

        public int Writes => _writes;

        public int IntentSyncs => _syncs;

        public Checkpoint?[] Slots { get; } = new Checkpoint?[2];

        public Checkpoint? Newest => Slots.OfType<Checkpoint>().MaxBy(slot => slot.Sequence);

        public bool IsIntentsClear => !_pages.IsEmpty && _pages.Values.All(page => page.Chunk(IntentSector.Size).All(sector => sector.AsSpan(32, 472).IndexOfAnyExcept((byte)0) < 0));

        public void ForgetSyncs() => _syncs = 0;

        public void WriteIntents(int page, ReadOnlySpan<byte> bytes)
        {
            Interlocked.Increment(ref _writes);
            Fail();
            _pages[page] = bytes.ToArray();
        }

        public void SyncIntents()
        {
            HoldSync?.Wait(s_patience);
            Fail();
            Interlocked.Increment(ref _syncs);
        }

        public void WriteSlot(int slot, ReadOnlySpan<byte> bytes)
        {
            Interlocked.Increment(ref _writes);
            Fail();
            Slots[slot] = Checkpoint.TryDecode(bytes);
        }

        public void Dispose()
        {
        }

        private void Fail()
        {
            if (Failure is { } failure)
            {
                throw failure;
            }
        }
    }
}
