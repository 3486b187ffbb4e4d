using System.Net.Sockets;
using Quench.Snapshots.Coordination.Holds;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.GuestAgent;

/// <summary>
/// One guest's file systems, frozen by its agent. Lives in the guard's process, which alone has the connection: QEMU serves one client, and when that one dies it serves the next.
/// </summary>
internal sealed class GuestAgentHold(string socket, TimeProvider clock) : IGuardedHold
{
    /// <summary>Within this an agent that is there answers, also in a guest that is busy.</summary>
    internal static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_again = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_letGoLimit = TimeSpan.FromMinutes(10); // a guest that nobody thaws stays frozen for ever

    private AgentLine? _line;
    private bool _mayBeHeld; // from the moment that the agent is asked
    private bool _isInDoubt; // nobody knows where the conversation is

    /// <inheritdoc/>
    public async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        AgentLine line = _line = await AgentCommands.BeginAsync(socket, AnswerLimit, clock, cancellationToken);
        (_, string? whyNot) = await AgentCommands.LookAsync(line, cancellationToken);
        if (whyNot is not null)
        {
            throw new WriterException(WriterError.NonRetryable, whyNot);
        }

        if (await AgentCommands.IsFrozenAsync(line, cancellationToken))
        {
            throw new WriterException(WriterError.NonRetryable, "somebody else has frozen the guest: it stays as it is");
        }
    }

    /// <inheritdoc/>
    public async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        _mayBeHeld = true;
        _isInDoubt = true;
        long count = await AgentCommands.FreezeAsync(_line!, cancellationToken);
        _isInDoubt = false;
        if (count == 0)
        {
            throw new WriterException(WriterError.NonRetryable, "the guest froze none of its file systems");
        }
    }

    /// <inheritdoc/>
    public async ValueTask<HoldAnswer> ConfirmAsync(CancellationToken cancellationToken)
    {
        _isInDoubt = true;
        using CancellationTokenSource timer = new(AnswerLimit, clock);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        bool isFrozen = await AgentCommands.IsFrozenAsync(_line!, limit.Token);
        _isInDoubt = false;
        return isFrozen ? HoldAnswer.Held : HoldAnswer.Lost("the guest was thawed before it was asked to: by somebody in it, or by a limit of its own");
    }

    /// <inheritdoc/>
    public async ValueTask LetGoAsync()
    {
        if (_mayBeHeld)
        {
            AgentLine? line = _isInDoubt ? null : _line;
            if (line is null)
            {
                _line?.Dispose();
            }

            _line = null;
            await ThawAsync(socket, line, clock);
            _mayBeHeld = false;
        }
    }

    /// <inheritdoc/>
    public ValueTask SettleAsync() => default;

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _line?.Dispose();
        return default;
    }

    /// <summary>Thaws a guest, and makes sure. Tries again until the guest says so, or is switched off.</summary>
    /// <param name="socket">Its agent's socket.</param>
    /// <param name="line">A conversation that is in order; disposed. Null for none.</param>
    /// <param name="clock">Measures the patience.</param>
    internal static async Task ThawAsync(string socket, AgentLine? line, TimeProvider clock)
    {
        long since = clock.GetTimestamp();
        while (true)
        {
            Exception? failure = null;
            using CancellationTokenSource limit = new(AnswerLimit, clock);
            try
            {
                line ??= await AgentCommands.BeginAsync(socket, AnswerLimit, clock, CancellationToken.None);
                await AgentCommands.ThawAsync(line, limit.Token);
                if (!await AgentCommands.IsFrozenAsync(line, limit.Token))
                {
                    return;
                }
            }
            catch (SocketException gone) when (gone.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable || !File.Exists(socket))
            {
                return; // the machine is off: nothing is frozen any more
            }
            catch (Exception trouble) when (trouble is IOException or SocketException or ServerRefusalException or WriterException or OperationCanceledException)
            {
                failure = trouble;
            }
            finally
            {
                line?.Dispose();
                line = null;
            }

            if (clock.GetElapsedTime(since) >= s_letGoLimit)
            {
                throw new WriterException(
                    WriterError.NonRetryable, $"the guest behind {socket} may still be frozen: thaw it with `virsh domfsthaw`, or from its console{(failure is null ? "" : $" ({failure.Message})")}", failure);
            }

            await Task.Delay(s_again, clock, CancellationToken.None);
        }
    }
}
