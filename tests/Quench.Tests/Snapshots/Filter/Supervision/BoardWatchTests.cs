using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter.Supervision;
using Xunit;

namespace Quench.Tests.Snapshots.Filter.Supervision;

/// <summary>What a holder makes of a worker's signs of life.</summary>
public sealed class BoardWatchTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(3);

    private readonly SharedMemory _memory = SharedMemory.Create("test-board", Board.Cells);
    private readonly Board _board;
    private readonly BoardWatch _watch = new(4, s_limit);
    private TimeSpan _now;

    public BoardWatchTests()
    {
        _board = new Board(_memory);
        _watch.Begin(TimeSpan.Zero);
    }

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void A_worker_that_beats_and_has_nothing_to_do_is_well() => Assert.Equal(ChangeReason.None, After(60));

    [Fact]
    public void A_worker_without_a_heartbeat_is_silent_however_busy_it_looks()
    {
        Assert.Equal(ChangeReason.None, After(2, beats: false));
        _board.Taken(0);
        Assert.Equal(ChangeReason.Silent, After(2, beats: false));
    }

    [Fact]
    public void A_request_that_stands_still_is_stuck()
    {
        _board.Taken(1);
        Assert.Equal(ChangeReason.None, After(2.9));
        Assert.Equal(ChangeReason.RequestStuck, After(0.2));
        _board.Answered(1);
        Assert.Equal(ChangeReason.None, After(0.1));
    }

    [Fact]
    public void The_origins_disk_may_take_as_long_as_it_likes()
    {
        _board.Taken(1);
        _board.Begin();
        Assert.Equal(ChangeReason.None, After(120));
        _board.End();
        Assert.Equal(ChangeReason.None, After(2.9)); // progress: the time begins anew
        Assert.Equal(ChangeReason.RequestStuck, After(0.2));
    }

    [Fact]
    public void Who_waits_for_another_ones_slow_disk_is_not_stuck_and_is_when_the_disk_has_answered()
    {
        OnAnotherThread(() => _board.Taken(2));
        _board.Taken(1);
        _board.Begin();
        Assert.Equal(ChangeReason.None, After(30));
        _board.End();
        _board.Answered(1);
        Assert.Equal(ChangeReason.RequestStuck, After(4));
    }

    [Fact]
    public void Who_waits_on_purpose_is_not_stuck()
    {
        _board.Taken(1);
        _board.Hold(true);
        Assert.Equal(ChangeReason.None, After(30));
        _board.Hold(false);
        Assert.Equal(ChangeReason.RequestStuck, After(4));
    }

    [Fact]
    public void A_thread_that_serves_no_request_leaves_no_trace()
    {
        CellState? state = null;
        OnAnotherThread(() =>
        {
            _board.Begin();
            state = Board.StateOf(_memory[Board.CellOf(0)]);
        });
        Assert.Equal(CellState.Idle, state);
    }

    [Fact]
    public void Where_a_thread_is_in_the_kernel_is_known_of_those_that_serve_and_of_guests()
    {
        int own = ProcessControl.ThreadNumber;
        Assert.Equal(Whereabouts.Elsewhere, Board.WhereaboutsOf(_memory, own));
        _board.Taken(3);
        Assert.Equal(Whereabouts.Elsewhere, Board.WhereaboutsOf(_memory, own));
        _board.Begin();
        Assert.Equal(Whereabouts.Origin, Board.WhereaboutsOf(_memory, own));
        _board.End();
        Assert.Equal(Whereabouts.Elsewhere, Board.WhereaboutsOf(_memory, own));
        Whereabouts[] seen = [];
        OnAnotherThread(() =>
        {
            int guest = ProcessControl.ThreadNumber;
            Whereabouts before = Board.WhereaboutsOf(_memory, guest);
            _board.Begin();
            Whereabouts origin = Board.WhereaboutsOf(_memory, guest);
            _board.End();
            _board.BeginSpill();
            Whereabouts spill = Board.WhereaboutsOf(_memory, guest);
            _board.EndSpill();
            seen = [before, origin, spill, Board.WhereaboutsOf(_memory, guest)];
        });
        Assert.Equal([Whereabouts.Elsewhere, Whereabouts.Origin, Whereabouts.SpillFile, Whereabouts.Elsewhere], seen);
    }

    [Fact]
    public void As_long_as_a_guest_found_no_place_every_thread_may_be_in_the_origin()
    {
        using ManualResetEventSlim leave = new(initialState: false);
        using CountdownEvent came = new(Board.MaxGuests + 1);
        Thread[] guests = [.. Enumerable.Range(0, Board.MaxGuests + 1).Select(_ => new Thread(() =>
        {
            _board.BeginSpill();
            came.Signal();
            leave.Wait();
            _board.EndSpill();
        }))];
        Array.ForEach(guests, static guest => guest.Start());
        came.Wait(TestContext.Current.CancellationToken);
        Assert.Equal(Whereabouts.Origin, Board.WhereaboutsOf(_memory, ProcessControl.ThreadNumber));
        leave.Set();
        Array.ForEach(guests, static guest => guest.Join());
        Assert.Equal(Whereabouts.Elsewhere, Board.WhereaboutsOf(_memory, ProcessControl.ThreadNumber));
    }

    private ChangeReason After(double seconds, bool beats = true)
    {
        ChangeReason reason = ChangeReason.None;
        for (TimeSpan end = _now + TimeSpan.FromSeconds(seconds); _now < end;)
        {
            _now += TimeSpan.FromMilliseconds(50);
            if (beats)
            {
                _board.Beat();
            }

            reason = _watch.Look(_memory, _now);
        }

        return reason;
    }

    private static void OnAnotherThread(Action action)
    {
        Thread thread = new(() => action());
        thread.Start();
        thread.Join();
    }
}
