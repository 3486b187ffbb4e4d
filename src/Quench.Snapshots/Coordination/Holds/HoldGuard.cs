using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Quench.Interop.Linux;
using Quench.Snapshots.Coordination.Writers;

namespace Quench.Snapshots.Coordination.Holds;

/// <summary>
/// A process that takes a hold for us and ends it when we say so, when its time is up, or when we are gone: for applications that would stay frozen for ever if the one who froze them
/// died. It is started and warmed up before anything is held. The conversation is drawn at <see cref="HoldGuardLoop"/>.
/// </summary>
/// <remarks>Safe to call from any thread; <see cref="HoldAsync"/>, <see cref="ReleaseAsync"/> and <see cref="SettleAsync"/> one after the other.</remarks>
public sealed class HoldGuard : IDisposable
{
    /// <summary>The hidden command that starts the guard's process.</summary>
    public const string CommandName = "hold-guard";

    private const int Usage = 2;
    private const int LongestLine = 4096;

    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(45);

    private readonly Process _process;
    private readonly Channel<string> _said = Channel.CreateBounded<string>(8);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private HoldGuard(Process process)
    {
        _process = process;
        _ = ListenAsync();
    }

    /// <summary>The guard's process, from its first line to its exit code: 0 it let go when it was told to, 1 nothing was held, 2 it was asked for what it does not know, 3 its owner was gone, 4 the limit had passed; 5 something may still be held.</summary>
    /// <param name="words">What is held, as the writer that wants it puts it.</param>
    public static async Task<int> RunAsync(string[] words)
    {
        ProcessControl.TryBeginSession();
        ProcessControl.TryAvoidOutOfMemoryKiller();
        ProcessControl.TryLockMemory();
        using PosixSignalRegistration terminal = Outlive(PosixSignal.SIGTERM);
        using PosixSignalRegistration interrupt = Outlive(PosixSignal.SIGINT);
        using PosixSignalRegistration hangUp = Outlive(PosixSignal.SIGHUP);
        await using IGuardedHold? hold = GuardedHolds.TryMake(words, TimeProvider.System);
        if (hold is null)
        {
            await Console.Error.WriteLineAsync($"quench: {CommandName} is for Quench itself; nothing was held. See `quench writers`.");
            return Usage;
        }

        using Stream input = Console.OpenStandardInput();
        using Stream output = Console.OpenStandardOutput();
        return await new HoldGuardLoop(hold, input, output, TimeProvider.System).RunAsync();
    }

    /// <summary>Completes when the process has ended and everything that it said has been read.</summary>
    internal Task Ended => _ended.Task;

    /// <summary>Whether it ended as guards do: what it held it has let go of, or has said why not.</summary>
    internal bool EndedInOrder => _process.HasExited && _process.ExitCode is HoldGuardLoop.Done or HoldGuardLoop.NotHeld or HoldGuardLoop.OwnerGone or HoldGuardLoop.LimitPassed or HoldGuardLoop.MayStillBeHeld;

    internal int ProcessId => _process.Id;

    /// <summary>Starts a guard and waits until it is warm.</summary>
    /// <param name="words">What it is to hold.</param>
    /// <param name="cancellationToken">Gives up; nothing is held.</param>
    /// <exception cref="WriterException">It did not come up, or can't hold that. Nothing is held.</exception>
    internal static async Task<HoldGuard> StartAsync(IReadOnlyList<string> words, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = SelfProcess.StartInfo([CommandName, .. words]);
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.WorkingDirectory = "/";
        HoldGuard guard = new(Process.Start(start)!);
        try
        {
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(s_startLimit);
            DemandWord("R", await guard.HearAsync(limit.Token));
            return guard;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            guard.Dispose();
            throw new WriterException(WriterError.Retryable, $"its guard did not come up within {s_startLimit.TotalSeconds:0} s; nothing was held");
        }
        catch
        {
            guard.Dispose();
            throw;
        }
    }

    /// <summary>Has it take the hold.</summary>
    /// <param name="limit">How long the hold may last, from now; the guard ends it then, whatever else happens.</param>
    /// <param name="cancellationToken">Gives up; the caller disposes, and the guard lets go.</param>
    /// <exception cref="WriterException">It does not hold. Nothing is held.</exception>
    internal async Task HoldAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        Say(string.Create(CultureInfo.InvariantCulture, $"H {(int)Math.Ceiling(limit.TotalMilliseconds)}"));
        DemandWord("H", await HearAsync(cancellationToken));
    }

    /// <summary>Has it confirm the hold and let go.</summary>
    internal async Task<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken)
    {
        Say("T");
        string word = await HearAsync(cancellationToken);
        return word switch
        {
            "T" => HoldAnswer.Held,
            ['L', ' ', .. string reason] => HoldAnswer.Lost(reason),
            _ => HoldAnswer.Lost("its guard had let go before it was asked: the hold's limit had passed"),
        };
    }

    /// <summary>Waits until production goes on as it did before.</summary>
    /// <exception cref="WriterException">It does not: the message says what to do.</exception>
    internal async Task SettleAsync(CancellationToken cancellationToken)
    {
        if (await HearAsync(cancellationToken) is ['E', ' ', .. string failure])
        {
            throw new WriterException(WriterError.NonRetryable, failure);
        }
    }

    /// <summary>Hangs up: the guard lets go of what it holds, and ends. Never throws; more than once.</summary>
    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (Exception failure) when (failure is IOException or InvalidOperationException)
        {
            // It has ended already.
        }
    }

    /// <summary>A service manager that ends us asks all of our processes to end: this one does so when there is nothing left to let go of.</summary>
    private static PosixSignalRegistration Outlive(PosixSignal signal) => PosixSignalRegistration.Create(signal, static context => context.Cancel = true);

    private static void DemandWord(string wanted, string word)
    {
        if (word != wanted)
        {
            string[] parts = word.Split(' ', 3);
            throw parts is ["F", _, _] && Enum.TryParse(parts[1], out WriterError error)
                ? new WriterException(error, parts[2])
                : new WriterException(WriterError.Retryable, "its guard said what guards don't say; nothing is held");
        }
    }

    private void Say(string word)
    {
        try
        {
            _process.StandardInput.Write(word + "\n");
            _process.StandardInput.Flush();
        }
        catch (Exception failure) when (failure is IOException or InvalidOperationException or ObjectDisposedException)
        {
            // It has ended, or we have hung up: there is no answer either.
        }
    }

    /// <exception cref="WriterException">It has ended.</exception>
    private async Task<string> HearAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _said.Reader.ReadAsync(cancellationToken);
        }
        catch (ChannelClosedException)
        {
            throw new WriterException(WriterError.Retryable, "its guard has ended");
        }
    }

    private async Task ListenAsync()
    {
        try
        {
            char[] line = new char[LongestLine];
            int length = 0;
            char[] one = new char[256];
            for (int count; (count = await _process.StandardOutput.ReadAsync(one)) > 0;)
            {
                for (int at = 0; at < count; at++)
                {
                    if (one[at] == '\n')
                    {
                        _said.Writer.TryWrite(new string(line, 0, length)); // a guard says four lines at most
                        length = 0;
                    }
                    else if (length < line.Length)
                    {
                        line[length++] = one[at];
                    }
                }
            }

            await _process.WaitForExitAsync();
        }
        catch (Exception failure) when (failure is IOException or InvalidOperationException or ObjectDisposedException)
        {
            // It is gone.
        }

        _said.Writer.TryComplete();
        _ended.TrySetResult();
    }
}
