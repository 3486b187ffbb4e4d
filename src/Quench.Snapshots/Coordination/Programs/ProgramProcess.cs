using System.Text;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Programs;

/// <summary>How a program ended.</summary>
/// <param name="ExitCode">Its exit code; null when a signal ended it.</param>
/// <param name="WasKilled">It was told to end because it took too long or was called off.</param>
/// <param name="Output">What it wrote to its standard output and error, the first 64 KiB of both.</param>
internal sealed record ProgramEnd(int? ExitCode, bool WasKilled, string Output);

/// <summary>
/// A running program in a process group of its own. When it ends, or has to end, its whole group does: SIGTERM first, SIGKILL before two seconds are over. What it writes is
/// read to its end and kept up to a limit, so that it neither blocks nor fills memory.
/// </summary>
internal sealed class ProgramProcess : IAsyncDisposable
{
    /// <summary>The most that is kept of what a program writes.</summary>
    public const int MostOutput = 64 * 1024;

    /// <summary>From SIGTERM to SIGKILL: the group is gone two seconds after the first at the latest.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1.5);

    private const int LookMilliseconds = 20;

    private static readonly Dictionary<string, string> s_environment = new()
    {
        ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ["LANG"] = "C.UTF-8",
        ["HOME"] = "/",
    };

    private readonly GroupedProgram _program;
    private readonly TimeProvider _clock;
    private readonly Lock _gate = new();              // guards the next two
    private readonly StringBuilder _kept = new();
    private Task<ChildEnd?>? _ending;                 // once: the group's number may be somebody else's afterwards
    private readonly Task _draining;
    private volatile bool _isOver;

    private ProgramProcess(GroupedProgram program, TimeProvider clock, Func<ReadOnlyMemory<byte>, bool>? takesOutput)
    {
        _program = program;
        _clock = clock;
        _draining = Task.WhenAll(OnItsOwnThreadAsync(() => Drain(program.Output, takesOutput)), OnItsOwnThreadAsync(() => Drain(program.Error, null)));
    }

    /// <summary>Its standard input.</summary>
    public Stream Input => _program.Input;

    public int Group => _program.Group;

    /// <summary>What it wrote so far, up to the limit.</summary>
    public string Kept
    {
        get
        {
            lock (_gate)
            {
                return _kept.ToString();
            }
        }
    }

    /// <summary>Starts a program that is trusted.</summary>
    /// <param name="path">From <see cref="TrustedPath.DemandProgram"/>.</param>
    /// <param name="arguments">Its words.</param>
    /// <param name="variables">Its environment, beside a path and a language.</param>
    /// <param name="clock">Measures its patience.</param>
    /// <param name="takesOutput">Given what it writes to its standard output, by one thread; false to hear no more. Null keeps it with the rest.</param>
    /// <exception cref="LinuxErrorException">It can't be started.</exception>
    public static ProgramProcess Start(
        string path, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> variables, TimeProvider clock, Func<ReadOnlyMemory<byte>, bool>? takesOutput = null)
    {
        Dictionary<string, string> environment = new(s_environment);
        foreach ((string name, string value) in variables)
        {
            environment[name] = value.Replace("\0", "", StringComparison.Ordinal);
        }

        return new ProgramProcess(GroupedProgram.Start(path, arguments, environment), clock, takesOutput);
    }

    /// <summary>Waits until it ends; ends it and its group when that takes too long.</summary>
    /// <param name="cancellationToken">Its time is over.</param>
    public async Task<ProgramEnd> WaitAsync(CancellationToken cancellationToken)
    {
        ChildEnd? end = await OnItsOwnThreadAsync(() => WaitForEnd(() => cancellationToken.IsCancellationRequested));
        bool wasKilled = end is null;
        end = await EndGroupAsync() ?? end;
        await _draining;
        return new ProgramEnd(end is { Signal: 0, Code: int code } && !wasKilled ? code : null, wasKilled, Kept);
    }

    /// <summary>Ends it and everybody in its group. Asked again, it waits for the same end.</summary>
    /// <returns>How the program itself ended; null when it could not even be killed.</returns>
    public Task<ChildEnd?> EndGroupAsync()
    {
        lock (_gate)
        {
            return _ending ??= OnItsOwnThreadAsync(EndGroup);
        }
    }

    private ChildEnd? EndGroup()
    {
        // A leader that is not reaped yet counts as there, so it is asked for first.
        ChildEnd? end = _program.TryReap();
        if (_program.IsAnybodyThere())
        {
            _program.Signal(kill: false);
            ChildEnd? found = WaitForEnd(Patient(), andGroup: true);
            if (found is null)
            {
                _program.Signal(kill: true);
                found = WaitForEnd(Patient(), andGroup: true) ?? _program.TryReap(); // a killed one is there until it has run once more: its writes may go on till then
            }

            end = found ?? end;
        }

        _isOver = true;
        return end;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await EndGroupAsync();
        await _draining;
        _program.Dispose();
    }

    /// <summary>Gives up when the patience that begins now is over.</summary>
    private Func<bool> Patient()
    {
        long since = _clock.GetTimestamp();
        return () => _clock.GetElapsedTime(since) >= Patience;
    }

    /// <summary>Looks again and again until the program, and if wanted its whole group, is gone.</summary>
    private ChildEnd? WaitForEnd(Func<bool> givesUp, bool andGroup = false)
    {
        while (true)
        {
            ChildEnd? end = _program.TryReap();
            if (end is not null && (!andGroup || !_program.IsAnybodyThere()))
            {
                return end;
            }

            if (givesUp())
            {
                return null;
            }

            ProcessControl.WaitReadable(-1, LookMilliseconds);
        }
    }

    private void Drain(System.Runtime.InteropServices.SafeHandle pipe, Func<ReadOnlyMemory<byte>, bool>? takes)
    {
        byte[] buffer = new byte[16 * 1024];
        bool isHeard = true;
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = new(pipe.DangerousGetHandle(), ownsHandle: false);
        while (true)
        {
            bool isReady = ProcessControl.WaitReadable((int)pipe.DangerousGetHandle(), LookMilliseconds * 5);
            if (!isReady && _isOver)
            {
                return; // a process that left the group still holds the pipe: nobody waits for it
            }

            int count = isReady ? NativeFile.ReadAvailable(file, buffer) : -1;
            if (count == 0)
            {
                return;
            }

            if (count > 0 && takes is null)
            {
                Keep(buffer.AsSpan(0, count));
            }
            else if (count > 0 && isHeard)
            {
                isHeard = takes!(buffer.AsMemory(0, count));
            }

            if (count > 0 && _isOver && (takes is not null || IsFull))
            {
                return; // a process that left the group writes on for ever
            }
        }
    }

    /// <summary>Each of these waits for as long as the program likes: the pool's threads are for others, and the time at which a group must be gone does not wait for one of them.</summary>
    private static Task<T> OnItsOwnThreadAsync<T>(Func<T> work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static Task OnItsOwnThreadAsync(Action work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private bool IsFull
    {
        get
        {
            lock (_gate)
            {
                return _kept.Length >= MostOutput;
            }
        }
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            int room = MostOutput - _kept.Length;
            if (room > 0)
            {
                _kept.Append(Encoding.UTF8.GetString(bytes[..Math.Min(room, bytes.Length)]));
            }
        }
    }
}
