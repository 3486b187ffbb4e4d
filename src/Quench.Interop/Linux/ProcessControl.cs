using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>What a process on a volume's I/O path asks of the kernel for itself.</summary>
public static unsafe class ProcessControl
{
    private const int MCL_CURRENT_FUTURE_ONFAULT = 7;
    private const int MCL_CURRENT_FUTURE = 3;
    private const int CLOSE_RANGE_CLOEXEC = 4;
    private const int PR_SET_IO_FLUSHER = 57;
    private const int PR_SET_DUMPABLE = 4;
    private const int RLIMIT_CORE = 4;
    private const int SIGTERM = 15;
    private const short POLLPRI = 2;

    /// <summary>Whether the process runs as root.</summary>
    public static bool IsRoot => LibC.geteuid() == 0;

    /// <summary>The user whose rights the process has, by number. (geteuid(2))</summary>
    public static uint User => LibC.geteuid();

    /// <summary>The kernel's number of the calling thread, as in /proc/PID/task. (gettid(2))</summary>
    public static int ThreadNumber => LibC.gettid();

    /// <summary>
    /// Keeps in RAM every page that is there now or comes in later. Pages never touched take none: the runtime reserves far more than it uses.
    /// </summary>
    /// <returns>False when the kernel refuses; the process goes on, more exposed to memory pressure.</returns>
    public static bool TryLockMemory() => LibC.mlockall(MCL_CURRENT_FUTURE_ONFAULT) == 0;

    /// <summary>Brings into RAM, and keeps there, every page that is there now or is mapped later: for a small process that must never wait for a page.</summary>
    /// <returns>False when the kernel refuses.</returns>
    public static bool TryLockAllMemory() => LibC.mlockall(MCL_CURRENT_FUTURE) == 0;

    /// <summary>Ends this process at once: no finalizer, no handler, nothing that could wait. (_exit(2))</summary>
    /// <param name="code">The exit code, 0 to 255.</param>
    public static void ExitNow(int code) => LibC._exit(code);

    /// <summary>Asks a process to end. (SIGTERM)</summary>
    /// <returns>False when there is no such process, or when it is not ours to end.</returns>
    public static bool TryTerminate(int process) => LibC.kill(process, SIGTERM) == 0;

    /// <summary>Tells the kernel that this process serves block I/O and must not be made to wait for it. (PR_SET_IO_FLUSHER)</summary>
    /// <returns>False when not allowed: it needs CAP_SYS_RESOURCE.</returns>
    public static bool TryBecomeIoFlusher() => LibC.prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0;

    /// <summary>Leaves the session and the process group that it was started in: no terminal's Ctrl-C reaches this process or what it starts. (setsid(2))</summary>
    /// <returns>False when it leads a process group already.</returns>
    public static bool TryBeginSession() => LibC.setsid() >= 0;

    /// <summary>
    /// Passes no descriptor on to the programs that this process starts, save the three standard ones. Whoever started us may have left us
    /// some (a lock file of flock(1), a pipe), and a program that lives long would keep them for as long. (close_range(2))
    /// </summary>
    /// <returns>False on a kernel before 5.11.</returns>
    public static bool TryKeepDescriptorsToOurselves() => LibC.close_range(3, uint.MaxValue, CLOSE_RANGE_CLOEXEC) == 0;

    /// <summary>
    /// Forbids core dumps of this process, to files and to programs that collect them, and lets nobody but root read its memory: for processes
    /// that hold keys. Programs that it starts inherit the limit of core files (zero) and nothing else. (PR_SET_DUMPABLE, RLIMIT_CORE)
    /// </summary>
    /// <remarks>The files of /proc/self then belong to root. A process that is not root keeps those that everybody may read, and its descriptors.</remarks>
    /// <returns>False when the kernel refuses one of the two.</returns>
    public static bool TryForbidDumps()
    {
        LibC.ResourceLimit limit;
        bool limited = LibC.getrlimit(RLIMIT_CORE, &limit) == 0;
        limit.Current = 0;
        limited = limited && LibC.setrlimit(RLIMIT_CORE, &limit) == 0;
        return LibC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && limited;
    }

    /// <summary>Asks the out-of-memory killer to look elsewhere first.</summary>
    /// <returns>False when not allowed.</returns>
    public static bool TryAvoidOutOfMemoryKiller()
    {
        try
        {
            File.WriteAllText("/proc/self/oom_score_adj", "-1000");
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Waits until a descriptor can be read, has been closed by its other side, or the time is over.</summary>
    /// <param name="descriptor">The descriptor's number.</param>
    /// <param name="milliseconds">How long at most; -1 for ever.</param>
    /// <returns>True when there is something to read or the other side is gone.</returns>
    public static bool WaitReadable(int descriptor, int milliseconds)
    {
        LibC.PollFd one = new() { Fd = descriptor, Events = 1 };
        int result = LibC.poll(&one, 1, milliseconds);
        return result >= 0 || Marshal.GetLastPInvokeError() == (int)Errno.EINTR
            ? result > 0
            : throw LinuxErrorException.FromLastError("poll");
    }

    /// <summary>Whether a file of the kernel's own (in cgroupfs or sysfs) has told of a change since it was last read through this descriptor. (POLLPRI)</summary>
    /// <param name="descriptor">The descriptor's number.</param>
    public static bool HasChanged(int descriptor)
    {
        LibC.PollFd one = new() { Fd = descriptor, Events = POLLPRI };
        int result = LibC.poll(&one, 1, 0);
        return result >= 0 || Marshal.GetLastPInvokeError() == (int)Errno.EINTR
            ? result > 0
            : throw LinuxErrorException.FromLastError("poll");
    }
}
