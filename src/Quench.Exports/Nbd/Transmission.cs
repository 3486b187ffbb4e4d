using System.Runtime.ExceptionServices;
using Quench.Blocks.Buffers;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>
/// A client's commands. Up to sixteen lanes, each with a thread, take turns at the connection: the one that leads receives a command, with its data, into its
/// own buffer, and hands the lead on before it serves it. A lane is made when all others are busy. So commands run side by side, memory is bounded, and a
/// command costs no allocation and at most one wake-up.
/// </summary>
/// <remarks>
/// Waking a lane costs more than a quick device takes for a command. So while the device is quick, a lane with short work keeps the lead for when it is
/// through, where commands come one by one, or where another serves as well and nothing more has come yet; and no more lanes serve than keep the
/// processors busy. A client with many commands in flight finds them all served: each receiving takes all that has come, and what is more than one wakes
/// others. A device that is slow gets all lanes: what it wants is a deep queue.
/// </remarks>
internal sealed class Transmission
{
    private const int MaxLanes = 16;
    private const int LanesEachProcessor = 4; // of 2, 4, 8 and 16 lanes on two processors 8 were best (docs/performance.md)
    private const int AloneStreak = 16;       // commands that came one by one, after which the next is thought to do so too
    private const int SlowStreak = 64;        // commands without a quick one among them, after which a device counts as slow: one that waited for a processor proves nothing

    private static readonly int s_lanesForQuick = Math.Min(MaxLanes, LanesEachProcessor * Environment.ProcessorCount);

    private readonly AlignedBufferPool _pieces;
    private readonly object _gate = new(); // guards all below
    private readonly Stack<TransmissionLane> _idle = new(MaxLanes); // they wait for the lead; who went last is called first, its memory is warm
    private int _made;
    private int _working;   // lanes that have not left
    private int _serving;   // lanes with a command
    private int _slowCount;  // commands since the last quick one
    private int _aloneCount; // commands since there were two at once
    private bool _isLed;
    private ExceptionDispatchInfo? _failure; // what broke first
    private volatile bool _ended; // the client has left, or something broke; never false again

    /// <summary>What the client and the server have agreed on.</summary>
    /// <param name="wire">The connection; the caller's.</param>
    /// <param name="export">What the client chose.</param>
    /// <param name="structured">Whether it takes structured replies.</param>
    /// <param name="contexts">What it may ask about, by id from 1.</param>
    /// <param name="pieces">The lanes' buffers.</param>
    /// <param name="report">Told about a device's failures.</param>
    internal Transmission(NbdWire wire, NbdExport export, bool structured, IReadOnlyList<INbdContext> contexts, AlignedBufferPool pieces, Action<string> report)
    {
        (Wire, Export, Structured, Contexts, Report, _pieces) = (wire, export, structured, contexts, report, pieces);
        Rules = new CommandRules(export, structured, contexts.Count > 0);
        Replies = new ReplyQueue(wire);
    }

    internal NbdWire Wire { get; }

    internal NbdExport Export { get; }

    internal bool Structured { get; }

    internal IReadOnlyList<INbdContext> Contexts { get; }

    internal Action<string> Report { get; }

    internal CommandRules Rules { get; }

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
            _serving--;
            _slowCount = lane.WasQuick ? 0 : Math.Min(_slowCount + 1, SlowStreak);
            _aloneCount = lane.SawAnother ? 0 : _aloneCount;
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
            bool enough = serving is not null && IsEnoughWith(serving);
            if ((_ended || !enough) && !_idle.TryPop(out next) && !_ended && _made < MaxLanes)
            {
                (next, isNew) = (new TransmissionLane(this), true);
                _made++;
                _working++;
            }

            _isLed = next is not null;
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

    /// <summary>Whether nobody else need receive while this lane serves its command.</summary>
    private bool IsEnoughWith(TransmissionLane lane)
    {
        _serving++;
        _aloneCount = _serving == 1 && !Wire.HasMore ? Math.Min(_aloneCount + 1, AloneStreak) : 0;
        if (_slowCount == SlowStreak)
        {
            return _serving == MaxLanes;
        }

        lane.IsAlone = _aloneCount == AloneStreak && lane.HasShortWork;
        return lane.IsAlone || _serving >= s_lanesForQuick || (_serving > 1 && !Wire.HasMore && lane.HasShortWork);
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
