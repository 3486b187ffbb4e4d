using System.Runtime.CompilerServices;
using Quench.Blocks.Buffers;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>
/// A client's commands. Up to sixteen lanes take turns at the connection: one receives a command, with its data, into its own buffer, then serves it while the
/// next one receives. A lane is made when all others are busy. So commands run side by side and memory is bounded.
/// </summary>
internal sealed class Transmission
{
    private const int MaxLanes = 16;

    private readonly AlignedBufferPool _pieces;
    private readonly TurnQueue _receiving = new();
    private readonly Lock _gate = new(); // guards the one below
    private readonly List<Task> _lanes = [];
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
    }

    internal NbdWire Wire { get; }

    internal NbdExport Export { get; }

    internal bool Structured { get; }

    internal IReadOnlyList<INbdContext> Contexts { get; }

    internal Action<string> Report { get; }

    internal CommandRules Rules { get; }

    /// <summary>Whose turn it is to send; a lane that has it may use <see cref="NbdWire.SendAsync"/>.</summary>
    internal TurnQueue Sending { get; } = new();

    /// <summary>Serves until all lanes have ended. What broke first is thrown then.</summary>
    internal async Task RunAsync()
    {
        MakeLane();
        Task[] lanes = [];
        for (int known = -1; known != lanes.Length;) // a lane may have made another before it ended
        {
            known = lanes.Length;
            lanes = Lanes();
            await Task.WhenAll(lanes).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(lanes);
    }

    /// <summary>Waits for a lane's turn and receives a command for it.</summary>
    /// <param name="lane">Whose <see cref="TransmissionLane.Request"/> and buffer are filled.</param>
    /// <returns>False when there is none any more.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<bool> ReceiveAsync(TransmissionLane lane)
    {
        await _receiving.TakeAsync(lane.Turn);
        try
        {
            while (!_ended)
            {
                if (!await Wire.TryReceiveAsync(lane.Header))
                {
                    _ended = true;
                }
                else if (!NbdRequest.TryRead(lane.Header.Span, out NbdRequest request))
                {
                    throw new NbdProtocolException("no command where one was due");
                }
                else if (request.Command == NbdCommand.Disconnect)
                {
                    _ended = true;
                }
                else if (await lane.AcceptAsync(request))
                {
                    MakeLaneIfAllAreBusy();
                    return true;
                }
            }

            return false;
        }
        catch
        {
            _ended = true; // before the next in line looks: nobody knows where a command would begin
            throw;
        }
        finally
        {
            _receiving.Release();
        }
    }

    /// <summary>Ends it for all lanes, after something broke.</summary>
    internal ValueTask BreakAsync()
    {
        _ended = true;
        return Wire.BreakAsync();
    }

    private void MakeLaneIfAllAreBusy()
    {
        if (!_receiving.HasWaiters)
        {
            MakeLane();
        }
    }

    private void MakeLane()
    {
        lock (_gate)
        {
            if (_lanes.Count < MaxLanes)
            {
                _lanes.Add(Task.Run(() => new TransmissionLane(this).RunAsync(_pieces)));
            }
        }
    }

    private Task[] Lanes()
    {
        lock (_gate)
        {
            return [.. _lanes];
        }
    }
}
