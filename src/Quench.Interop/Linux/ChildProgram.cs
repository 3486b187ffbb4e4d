using System.Collections;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>How a child ended.</summary>
/// <param name="Signal">The signal that killed it; 0 when none did.</param>
/// <param name="Code">Its exit code, when no signal killed it.</param>
public readonly record struct ChildEnd(int Signal, int Code);

/// <summary>
/// A program that is ready to be started, again and again: its words, its environment and the descriptors it inherits lie in memory of their own, so
/// that starting it allocates nothing. Its standard input and output are /dev/null; its standard error is ours. (posix_spawn(3))
/// </summary>
/// <remarks>For one thread. The base library's process class must not be used beside it: that one waits for children too.</remarks>
public sealed unsafe class ChildProgram : IDisposable
{
    private const nint SYS_pidfd_open = 434;
    private const int SIGKILL = 9;
    private const int ActionsSize = 256; // posix_spawn_file_actions_t, with room to spare

    private readonly byte** _words;
    private readonly byte** _environment;
    private readonly int[] _inherited;

    /// <summary>Makes it ready.</summary>
    /// <param name="words">The program (looked for in PATH when it has no slash) and its arguments.</param>
    /// <param name="inherited">The descriptors that it finds open, under the same numbers as here.</param>
    /// <param name="without">Variables of our environment that it does not get.</param>
    public ChildProgram(IReadOnlyList<string> words, IReadOnlyList<int> inherited, IReadOnlyCollection<string> without)
    {
        _words = NativeStrings.Make(words);
        _environment = NativeStrings.Make([.. Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Where(entry => !without.Contains((string)entry.Key)).Select(entry => $"{entry.Key}={entry.Value}")]);
        _inherited = [.. inherited];
    }

    /// <summary>Starts it.</summary>
    /// <returns>Its process id.</returns>
    public int Start()
    {
        byte* actions = stackalloc byte[ActionsSize];
        Check(LibC.posix_spawn_file_actions_init(actions));
        try
        {
            const int WriteOnly = 1;
            Check(LibC.posix_spawn_file_actions_addopen(actions, 0, "/dev/null", 0, 0));
            Check(LibC.posix_spawn_file_actions_addopen(actions, 1, "/dev/null", WriteOnly, 0));
            foreach (int descriptor in _inherited)
            {
                Check(LibC.posix_spawn_file_actions_adddup2(actions, descriptor, descriptor)); // the same number: only close-on-exec is taken off
            }

            int process;
            Check(LibC.posix_spawnp(&process, _words[0], actions, null, _words, _environment));
            return process;
        }
        finally
        {
            _ = LibC.posix_spawn_file_actions_destroy(actions);
        }
    }

    /// <summary>A descriptor that can be read as soon as a child has ended with all of its threads. (pidfd_open(2))</summary>
    public static SafeFileHandle Watch(int process)
    {
        nint descriptor = LibC.syscall(SYS_pidfd_open, process, null, null, 0);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw LinuxErrorException.FromLastError("watch a child process");
    }

    /// <summary>
    /// Waits until a child has really ended: every thread of it is gone, and with it every system call that it had under way. Only the thread group's
    /// end is told to a parent. (waitpid(2))
    /// </summary>
    public static ChildEnd WaitForEnd(int process)
    {
        int status;
        while (LibC.waitpid(process, &status, 0) < 0)
        {
            if (Marshal.GetLastPInvokeError() != (int)Errno.EINTR)
            {
                throw LinuxErrorException.FromLastError("wait for a child process");
            }
        }

        return new ChildEnd(status & 0x7F, (status >> 8) & 0xFF);
    }

    /// <summary>Kills a child that has not been waited for yet. (SIGKILL)</summary>
    public static void Kill(int process) => _ = LibC.kill(process, SIGKILL);

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeStrings.Free(_words);
        NativeStrings.Free(_environment);
    }

    private static void Check(int error)
    {
        if (error != 0)
        {
            throw new LinuxErrorException((Errno)error, "start", "a process");
        }
    }
}
