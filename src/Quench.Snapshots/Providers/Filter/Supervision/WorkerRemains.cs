using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>What is left of a worker that was killed and has not ended.</summary>
internal enum Remainder
{
    /// <summary>Something that may still write the origin, or that was not to be seen clearly: look again.</summary>
    Doubtful,

    /// <summary>Threads in uninterruptible sleep, none of them in I/O to the origin.</summary>
    Harmless,

    /// <summary>The same, and all of them in I/O to a spill file, which nobody else uses.</summary>
    InSpillFile,
}

/// <summary>
/// Judges whether a worker that was killed, and can't end because the kernel does not let go of one of its threads, could still write the origin.
/// </summary>
/// <remarks>
/// <para>A disk that does not answer keeps a thread in uninterruptible sleep, and its process from ending, for as long as it likes. If that disk is not the
/// origin's, production must not wait for it. Why it needn't, when <see cref="Look"/> says so:</para>
/// <para>1. <b>No thread comes.</b> SIGKILL is pending for every thread when kill(2) has returned, and clone(2) refuses a caller with a signal pending. So the
/// number of threads only falls. It is read before and after the list: equal numbers, and as many names, mean that nobody left meanwhile, and so that the list,
/// which may skip a thread when one before it goes, is whole.</para>
/// <para>2. <b>A thread that is seen asleep can't return to its program.</b> The kernel looks for SIGKILL whenever it is about to return there. What the thread
/// finishes is the system call that it sleeps in. A thread that runs could still reach its program's next system call (signals are
/// not looked at on the way in): that is why a running one is in doubt.</para>
/// <para>3. <b>So its mark on the board is final.</b> It is set by the program before the system call and taken away by the program after it, and the program
/// does not run any more. That it sleeps means that its processor has gone through the scheduler since, which makes its stores visible to us.</para>
/// <para>4. <b>All I/O to the origin is marked</b>, by <see cref="Quench.Blocks.Devices.Disk.Watch"/>: threads that serve requests have a cell, the others come as guests.</para>
/// <para>5. <b>A thread on its way out is done.</b> The mark of one that was killed in the origin's I/O stays; when the kernel shows it as exiting, that system call is
/// over (it may close a spill file then, and hang there).</para>
/// <para>What such a thread still does lands on other disks: the tracking state's, the store's. Those who go on must not believe them again before it has
/// ended; only a spill file is its own.</para>
/// </remarks>
internal static class WorkerRemains
{
    private const int StateField = 0;    // of /proc/PID/stat, counted after the name (proc_pid_stat(5))
    private const int FlagsField = 6;
    private const int ThreadsField = 17;
    private const uint Exiting = 4;      // PF_EXITING
    private const int StatBytes = 1024;

    /// <summary>Whether a process has begun to end: its first thread is gone, others are not.</summary>
    internal static bool HasBegunToEnd(int process) => TryReadStat(Folder(process), out ThreadLook first) && first.IsGone;

    /// <summary>Looks at what is left.</summary>
    /// <param name="process">A child that SIGKILL was sent to, and that was not waited for.</param>
    /// <param name="board">Its board.</param>
    internal static Remainder Look(int process, SharedMemory board)
    {
        string folder = Folder(process);
        if (!TryReadStat(folder, out ThreadLook before) || NativeFile.TryReadDirectory(folder + "/task") is not { } threads)
        {
            return Remainder.Doubtful; // it has just ended
        }

        Remainder left = Remainder.InSpillFile;
        foreach (DirectoryEntry thread in threads)
        {
            if (!TryReadStat($"{folder}/task/{thread.Name}", out ThreadLook look) || !(look.IsGone || look.IsAsleep))
            {
                return Remainder.Doubtful;
            }

            // Only now, after it was seen asleep.
            Whereabouts where = look.IsGone ? Whereabouts.SpillFile : Board.WhereaboutsOf(board, int.Parse(thread.Name, CultureInfo.InvariantCulture));
            if (where == Whereabouts.Origin)
            {
                return Remainder.Doubtful;
            }

            left = where == Whereabouts.SpillFile ? left : Remainder.Harmless;
        }

        return TryReadStat(folder, out ThreadLook after) && before.Threads == threads.Count && after.Threads == threads.Count ? left : Remainder.Doubtful;
    }

    /// <summary>Reads what a line of stat says.</summary>
    internal static bool TryParse(ReadOnlySpan<byte> stat, out ThreadLook look)
    {
        look = default;
        ReadOnlySpan<byte> rest = stat[(stat.LastIndexOf((byte)')') + 1)..]; // the name before it may hold anything
        int field = -1;
        uint flags = 0;
        int threads = 0;
        byte state = 0;
        foreach (Range range in rest.Split((byte)' '))
        {
            ReadOnlySpan<byte> word = rest[range];
            bool sound = field switch
            {
                StateField => (state = word.Length == 1 ? word[0] : (byte)0) != 0,
                FlagsField => uint.TryParse(word, CultureInfo.InvariantCulture, out flags),
                ThreadsField => int.TryParse(word, CultureInfo.InvariantCulture, out threads),
                _ => true,
            };
            if (!sound)
            {
                return false;
            }

            field++;
        }

        look = new ThreadLook(state is (byte)'Z' or (byte)'X' || (flags & Exiting) != 0, state == (byte)'D', threads);
        return field > ThreadsField;
    }

    private static string Folder(int process) => string.Create(CultureInfo.InvariantCulture, $"/proc/{process}");

    private static bool TryReadStat(string folder, out ThreadLook look)
    {
        Span<byte> stat = stackalloc byte[StatBytes];
        try
        {
            using SafeFileHandle file = NativeFile.Open(folder + "/stat", OpenMode.ReadOnly);
            return TryParse(stat[..NativeFile.Read(file, stat, 0)], out look);
        }
        catch (LinuxErrorException)
        {
            look = default;
            return false; // it has gone meanwhile
        }
    }
}

/// <summary>A thread as the kernel shows it.</summary>
/// <param name="IsGone">It has ended, or is on its way out: it has left its last system call.</param>
/// <param name="IsAsleep">It is in uninterruptible sleep.</param>
/// <param name="Threads">How many threads its process has.</param>
internal readonly record struct ThreadLook(bool IsGone, bool IsAsleep, int Threads);
