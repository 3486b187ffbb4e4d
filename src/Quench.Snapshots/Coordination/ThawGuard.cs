using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination;

/// <summary>
/// A process that thaws one file system when its time is up or when the process that froze it is gone. It is started and warmed up
/// before anything is frozen: compiled, locked into memory, its descriptor open.
/// </summary>
/// <remarks>
/// <code>
/// requestor                       guard (its stdin, its stdout)
///   start ───────────────────────▶ open the mount point, lock memory, run its calls once
///         ◀───────────────── "R"   ready
///   "A&lt;milliseconds&gt;\n" ─────────▶ armed: thaw at the limit, or at once when stdin ends
///         ◀───────────────── "A"   the clock runs, and the kernel waits less (<see cref="KernelGracePeriods"/>)
///   FIFREEZE … FITHAW
///   "D\n" ──────────────────────▶ stand down: exit without thawing
/// </code>
/// </remarks>
public sealed class ThawGuard : IDisposable
{
    /// <summary>The hidden command that starts the guard's process.</summary>
    public const string CommandName = "thaw-guard";

    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly bool _wasExpedited = KernelGracePeriods.AreExpedited;
    private bool _stoodDown;

    private ThawGuard(Process process) => _process = process;

    /// <summary>Starts a guard for a mount point and waits until it is warm.</summary>
    /// <exception cref="QuenchException">SNAP-122: it did not come up; nothing has been frozen.</exception>
    public static async Task<ThawGuard> StartAsync(string mountPoint, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = SelfProcess.StartInfo(CommandName, mountPoint);
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        Process process = Process.Start(start)!;
        ThawGuard guard = new(process);
        try
        {
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(s_startLimit);
            byte[] answer = new byte[1];
            int count = await process.StandardOutput.BaseStream.ReadAsync(answer, limit.Token);
            return count == 1 && answer[0] == (byte)'R' ? guard : throw NotReady(mountPoint);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            guard.Dispose();
            throw NotReady(mountPoint);
        }
        catch
        {
            guard.Dispose();
            throw;
        }
    }

    internal int ProcessId => _process.Id;

    /// <summary>Starts the clock. Returns when the guard has confirmed it.</summary>
    internal void Arm(TimeSpan limit)
    {
        try
        {
            Send(string.Create(CultureInfo.InvariantCulture, $"A{(long)limit.TotalMilliseconds}\n"));
        }
        catch (IOException)
        {
            // It has ended already: there is no answer either.
        }

        if (_process.StandardOutput.BaseStream.ReadByte() != 'A')
        {
            throw new QuenchException("SNAP-122", "the thaw guard died before the freeze", "try again") { CanRetry = true };
        }
    }

    /// <summary>Ends the guard without a thaw.</summary>
    internal void StandDown()
    {
        if (!_stoodDown)
        {
            _stoodDown = true;
            try
            {
                Send("D\n");
            }
            catch (IOException)
            {
                // It has ended already: it thawed at its limit, and the thaw that failed tells so.
            }
        }
    }

    /// <summary>Ends the guard; it thaws if it was armed and nobody stood it down.</summary>
    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(s_endLimit))
        {
            _process.Kill();
            _process.WaitForExit();
        }

        if (_process.ExitCode is not (0 or 3 or 4) && !_wasExpedited && KernelGracePeriods.AreExpedited)
        {
            KernelGracePeriods.Relax(); // it was killed before it could switch back
        }

        _process.Dispose();
    }

    /// <summary>The guard's own process, from its first line to its exit code: 0 stood down, 3 its owner was gone, 4 the limit.</summary>
    public static int Run(string mountPoint)
    {
        ProcessControl.TryLockMemory();
        using SafeFileHandle root = NativeFile.Open(mountPoint, OpenMode.ReadOnly | OpenMode.Directory);
        using SafeFileHandle input = new(0, ownsHandle: false);
        using Stream output = Console.OpenStandardOutput();
        WarmUp(input);
        output.WriteByte((byte)'R');
        output.Flush();
        if (WaitForArming(input) is not { } limit)
        {
            return 0;
        }

        bool expedited = KernelGracePeriods.TryExpedite();
        try
        {
            output.WriteByte((byte)'A');
            output.Flush();
            return Watch(root, input, limit);
        }
        finally
        {
            if (expedited)
            {
                KernelGracePeriods.Relax();
            }
        }
    }

    /// <summary>Runs each call of the watch once where it changes nothing, so that none is compiled while a file system is frozen.</summary>
    private static void WarmUp(SafeFileHandle input)
    {
        using SafeFileHandle nothing = NativeFile.Open("/dev/null", OpenMode.ReadWrite);
        try
        {
            FileSystemFreeze.TryThaw(nothing);
        }
        catch (LinuxErrorException)
        {
            // A character device can't be thawed: the call ran, and that was all it was for.
        }

        ProcessControl.WaitReadable(0, 0);
        NativeFile.ReadAvailable(nothing, new byte[1]);
        _ = Remaining(Stopwatch.GetTimestamp(), TimeSpan.Zero);
        GC.KeepAlive(input);
    }

    private static TimeSpan? WaitForArming(SafeFileHandle input)
    {
        byte[] line = new byte[32];
        int length = 0;
        while (length < line.Length)
        {
            int count = NativeFile.ReadAvailable(input, line.AsSpan(length, 1));
            if (count == 0)
            {
                return null;
            }

            if (line[length++] == (byte)'\n')
            {
                break;
            }
        }

        if (line[0] != (byte)'A')
        {
            return null;
        }

        long milliseconds = long.Parse(Encoding.ASCII.GetString(line, 1, length - 2), CultureInfo.InvariantCulture);
        return TimeSpan.FromMilliseconds(milliseconds);
    }

    private static int Watch(SafeFileHandle root, SafeFileHandle input, TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        Span<byte> command = stackalloc byte[2];
        while (Remaining(since, limit) is var left && left > 0)
        {
            if (ProcessControl.WaitReadable(0, left))
            {
                int count = NativeFile.ReadAvailable(input, command);
                if (count > 0)
                {
                    return 0;
                }

                FileSystemFreeze.TryThaw(root);
                return 3;
            }
        }

        FileSystemFreeze.TryThaw(root);
        return 4;
    }

    private static int Remaining(long since, TimeSpan limit) =>
        (int)Math.Clamp(Math.Ceiling((limit - Stopwatch.GetElapsedTime(since)).TotalMilliseconds), 0, int.MaxValue);

    private void Send(string command)
    {
        Stream input = _process.StandardInput.BaseStream;
        input.Write(Encoding.ASCII.GetBytes(command));
        input.Flush();
    }

    private static QuenchException NotReady(string mountPoint) => new(
        "SNAP-122", $"the thaw guard for {mountPoint} did not come up within {s_startLimit.TotalSeconds:0} s", "try again when the machine is less busy")
    {
        Effect = "nothing was frozen; the volume itself is unaffected",
        CanRetry = true,
    };
}
