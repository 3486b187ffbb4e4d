using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination;

/// <summary>
/// A mounted file system whose writers are held. Freezing arms a <see cref="ThawGuard"/> first, in a process of its own, because a freeze
/// outlives the process that made it; thawing tells whether the freeze held all the time.
/// </summary>
/// <remarks>
/// Between <see cref="Freeze"/> and <see cref="Thaw"/> the caller waits for nothing that could need the frozen file system: no log, no
/// file, no await. Disposing thaws if nobody has.
/// </remarks>
public sealed class FrozenFileSystem : IDisposable
{
    private readonly SafeFileHandle _root;
    private readonly ThawGuard _guard;
    private readonly string _mountPoint;
    private readonly TimeSpan _limit;
    private readonly long _since;
    private bool _thawed;

    private FrozenFileSystem(SafeFileHandle root, ThawGuard guard, string mountPoint, TimeSpan limit, long since)
    {
        _root = root;
        _guard = guard;
        _mountPoint = mountPoint;
        _limit = limit;
        _since = since;
    }

    /// <summary>Writes the file system out, then freezes it.</summary>
    /// <param name="mountPoint">Where it is mounted.</param>
    /// <param name="guard">A guard for this mount point, started and not armed yet.</param>
    /// <param name="limit">How long the freeze may last, from now on; the guard thaws at its end.</param>
    /// <exception cref="QuenchException">SNAP-120: it can't be frozen. Nothing is frozen then.</exception>
    public static FrozenFileSystem Freeze(string mountPoint, ThawGuard guard, TimeSpan limit)
    {
        SafeFileHandle root = NativeFile.Open(mountPoint, OpenMode.ReadOnly | OpenMode.Directory);
        try
        {
            WriteOut(root);
            guard.Arm(limit);
            long since = Stopwatch.GetTimestamp();
            FileSystemFreeze.Freeze(root);
            return new FrozenFileSystem(root, guard, mountPoint, limit, since);
        }
        catch (LinuxErrorException failure)
        {
            root.Dispose();
            guard.StandDown();
            throw new QuenchException(
                "SNAP-120",
                $"{mountPoint} can't be frozen: {failure.Message}",
                failure.Errno == Errno.EBUSY
                    ? "somebody else has frozen it: thaw it with fsfreeze -u, then try again"
                    : "take the snapshot crash consistent with --no-freeze",
                failure)
            {
                Effect = "nothing is frozen and no snapshot was taken; the volume itself is unaffected",
            };
        }
    }

    /// <summary>Writes a file system out while its writers go on, so that a freeze soon after has little left to write.</summary>
    /// <param name="mountPoint">Where it is mounted.</param>
    public static void WriteOut(string mountPoint)
    {
        using SafeFileHandle root = NativeFile.Open(mountPoint, OpenMode.ReadOnly | OpenMode.Directory);
        WriteOut(root);
    }

    /// <summary>
    /// Writes out, before the writers are held, what the freeze would otherwise write out while they wait. Writers go on meanwhile, so it is done
    /// again until there was little left.
    /// </summary>
    private static void WriteOut(SafeFileHandle root)
    {
        const int MaxRounds = 4;
        const double LittleMilliseconds = 10;
        for (int round = 0; round < MaxRounds; round++)
        {
            long since = Stopwatch.GetTimestamp();
            NativeFile.SyncFileSystem(root);
            if (Stopwatch.GetElapsedTime(since).TotalMilliseconds <= LittleMilliseconds)
            {
                break;
            }
        }
    }

    /// <summary>Lets the writers go on.</summary>
    /// <returns>How long they were held, the flush inside the freeze included.</returns>
    /// <exception cref="QuenchException">SNAP-121: the freeze was lost before this call; what was done under it can't be relied on.</exception>
    public TimeSpan Thaw()
    {
        _thawed = true;
        bool held = FileSystemFreeze.TryThaw(_root);
        TimeSpan duration = Stopwatch.GetElapsedTime(_since);
        _guard.StandDown();
        if (!held)
        {
            throw new QuenchException(
                "SNAP-121",
                $"the freeze of {_mountPoint} was lost after {duration.TotalMilliseconds:0} ms (its limit is {_limit.TotalMilliseconds:0} ms)",
                "try again in a quieter hour, or allow more time with --freeze-limit")
            {
                Effect = "the file system is writable and the snapshot was discarded; the volume itself is unaffected",
                CanRetry = true,
            };
        }

        return duration;
    }

    /// <summary>Thaws if nobody has, and lets go of the mount point.</summary>
    public void Dispose()
    {
        if (!_thawed)
        {
            _thawed = true;
            FileSystemFreeze.TryThaw(_root);
            _guard.StandDown();
        }

        _root.Dispose();
    }
}
