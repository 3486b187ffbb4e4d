using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Quench.Blocks.Buffers;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>
/// A client's commands. Up to sixteen lanes, each with a thread, take turns at the connection: the one that leads receives a command, with its data, into its
/// own buffer, and hands the lead on before it serves it. A lane is made when all others are busy. So commands run side by side, memory is bounded, and a
/// command costs no allocation and at most one wake-up.
/// </summary>
internal sealed class Transmission
{
    private const int MaxLanes = 16;

    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(50); // with lanes that do not get through

    private readonly AlignedBufferPool _pieces;
    private readonly object _gate = new(); // guards all below
    private readonly Stack<TransmissionLane> _idle = new(MaxLanes); // they wait for the lead; who went last is called first, its memory is warm
    private readonly LanePolicy _policy;
    private int _made;
    private int _working; // lanes that have not left
    private bool _isLed;
    private long _openSince; // when the lead was last given to nobody
    private ExceptionDispatchInfo? _failure; // what broke first
    private volatile bool _ended; // the client has left, or something broke; never false again

    /// <summary>What the client and the server have agreed on.</summary>
    /// <param name="wire">The connection; the caller's.</param>
    /// <param name="export">What the client chose.</param>
    /// <param name="structured">Whether it takes structured replies.</param>
    /// <param name="contexts">What it may ask about, by id from 1.</param>
    /// <param name="pieces">The lanes' buffers.</param>
    /// <param name="everywhere">The lanes of all connections.</param>
    /// <param name="report">Told about a device's failures.</param>
    internal Transmission(
        NbdWire wire, NbdExport export, bool structured, IReadOnlyList<INbdContext> contexts, AlignedBufferPool pieces, ServingLanes everywhere, Action<string> report)
    {
        (Wire, Export, Structured, Contexts, Report, Everywhere, _pieces) = (wire, export, structured, contexts, report, everywhere, pieces);
        Rules = new CommandRules(export, structured, contexts.Count > 0);
        Replies = new ReplyQueue(wire);
        _policy = new LanePolicy(MaxLanes, everywhere);
    }

    internal NbdWire Wire { get; }

    internal NbdExport Export { get; }

    internal bool Structured { get; }

    internal IReadOnlyList<INbdContext> Contexts { get; }

    internal Action<string> Report { get; }

    internal CommandRules Rules { get; }

    internal ServingLanes Everywhere { get; }

    internal ReplyQueue Replies { get; }

    /// <summary>Serves until all lanes have ended; the caller's thread is one of them. What broke first is thrown then.</summary>
    internal void Run()
    {
        (_made, _working, _isLed) = (1, 1, true);
        Work(new TransmissionLane(this));
        lock (_gate)
        {
            while (_working > 0)
            {
                Monitor.Wait(_gate);
            }
        }

        _failure?.Throw();
    }

    /// <summary>
    /// Sees to it that commands are received although those who serve do not get through: a device hangs, or a client first says all it has to say and
    /// takes its answers then. Called now and then; never waits.
    /// </summary>
    internal void Look()
    {
        lock (_gate)
        {
            if (_isLed || _ended || Stopwatch.GetElapsedTime(_openSince) < s_patience)
            {
                return;
            }

            _isLed = true;
            _policy.CountAsSlow();
        }

        PassLead(null);
    }

    /// <summary>Receives a command for a lane, which waits for the lead if it has not got it, and hands the lead on.</summary>
    /// <param name="lane">Whose <see cref="TransmissionLane.Request"/> and buffer are filled.</param>
    /// <param name="leads">Whether it has the lead; otherwise it has served a command.</param>
    /// <returns>False when there is none any more.</returns>
    internal bool Receive(TransmissionLane lane, bool leads)
    {
        if (!leads && !TryTakeLead(lane))
        {
            lane.Lead.Await();
        }

        bool received = false;
        try
        {
            while (!_ended && !received)
            {
                if (!Wire.TryReceive(lane.Header))
                {
                    _ended = true;
                }
                else if (!NbdRequest.TryRead(lane.Header, out NbdRequest request))
                {
                    throw new NbdProtocolException("no command where one was due");
                }
                else if (request.Command == NbdCommand.Disconnect)
                {
                    _ended = true;
                }
                else
                {
                    received = lane.Accept(request);
                }
            }

            return received;
        }
        catch
        {
            _ended = true; // before the next looks: nobody knows where a command would begin
            throw;
        }
        finally
        {
            PassLead(received ? lane : null);
        }
    }

    private void Work(TransmissionLane lane)
    {
        try
        {
            lane.Run(_pieces);
        }
#pragma warning disable CA1031 // it ends this connection, whatever it is, and the session's thread throws it
        catch (Exception failure)
#pragma warning restore CA1031
        {
            Break(failure);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>A lane ends. If nobody leads, nobody but it can tell the idle ones.</summary>
    private void Leave()
    {
        bool leads;
        lock (_gate)
        {
            _working--;
            Monitor.PulseAll(_gate);
            leads = !_isLed;
            _isLed = true;
        }

        if (leads)
        {
            PassLead(null);
        }
    }

    private void Break(Exception failure)
    {
        lock (_gate)
        {
            _failure ??= ExceptionDispatchInfo.Capture(failure);
        }

        _ended = true;
        Wire.CutOff(failure.Message);
    }

    /// <summary>For a lane that has served its command.</summary>
    /// <returns>False when another leads: the lane waits among the idle ones then.</returns>
    private bool TryTakeLead(TransmissionLane lane)
    {
        lock (_gate)
        {
            _policy.End(lane);
            if (_isLed)
            {
                _idle.Push(lane);
                return false;
            }

            _isLed = true;
            return true;
        }
    }

    /// <summary>Gives the lead to an idle lane, or to a new one, or to nobody; at the end one after the other gets it, to see that it is the end.</summary>
    /// <param name="serving">The lane that had it, if it has a command to serve.</param>
    private void PassLead(TransmissionLane? serving)
    {
        TransmissionLane? next = null;
        bool isNew = false;
        lock (_gate)
        {
            bool enough = serving is not null && _policy.Begin(serving, Wire.HasMore);
            if ((_ended || !enough) && !_idle.TryPop(out next) && !_ended && _made < MaxLanes)
            {
                (next, isNew) = (new TransmissionLane(this), true);
                _made++;
                _working++;
            }

            _isLed = next is not null;
            _openSince = _isLed ? _openSince : Stopwatch.GetTimestamp();
        }

        if (isNew)
        {
            Begin(next!);
        }
        else
        {
            next?.Lead.Give();
        }
    }

    /// <summary>Starts a lane, which leads.</summary>
    private void Begin(TransmissionLane lane)
    {
        try
        {
            new Thread(() => Work(lane)) { IsBackground = true, Name = "nbd lane" }.Start();
        }
        catch (OutOfMemoryException)
        {
            lock (_gate)
            {
                _made = MaxLanes; // the system has no thread for another: those there are go on
                _working--;
            }

            PassLead(null);
        }
    }
}
