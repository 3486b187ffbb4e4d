using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>The programs at work on one device, and every sign that they are not or have missed something. Not thread-safe.</summary>
internal sealed class TrackerWatch : IDisposable
{
    private const string Landed = "quench_landed";
    private const string Queued = "quench_queued";
    private const int Looks = 4;
    private const int BracketsEach = 8;
    private static readonly TimeSpan s_hearLimit = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_restLimit = TimeSpan.FromMilliseconds(200);

    private readonly DiskPlace _place;
    private readonly SafeFileHandle _handle;
    private readonly NativeBuffer _sector;
    private readonly List<TrackerPair> _pairs = [];

    private TrackerWatch(string device, DiskPlace place, TrackerMaps maps)
    {
        Maps = maps;
        _place = place;
        _handle = NativeFile.Open(device, OpenMode.ReadOnly | OpenMode.Direct);
        _sector = new NativeBuffer(BlockDevice.GetLogicalSectorSize(_handle));
    }

    /// <summary>What they share with user space; its own.</summary>
    public TrackerMaps Maps { get; }

    /// <summary>Loads the programs and lets them run. When it returns, every later write is heard.</summary>
    /// <param name="device">The device.</param>
    /// <param name="place">Where it lies.</param>
    /// <param name="target">What of it is tracked.</param>
    /// <param name="maps">Taken, whatever comes of it.</param>
    /// <exception cref="QuenchException">SNAP-180, SNAP-181.</exception>
    public static TrackerWatch Start(string device, DiskPlace place, TrackerTarget target, TrackerMaps maps) => Make(device, place, maps, watch =>
    {
        RequestLayout layout = RequestLayout.OfThisKernel();
        watch._pairs.Add(TrackerPair.Attach(Landed, RequestLayout.Completion, turn => TrackerProgram.ForCompletion(layout, target, maps, turn)));
        watch._pairs.Add(TrackerPair.Attach(Queued, RequestLayout.Submission, turn => TrackerProgram.ForSubmission(layout, target, maps, turn)));
        watch.ForgetTaken();
        if (!watch.HearsItself())
        {
            throw new QuenchException("SNAP-180", $"writes to {device} can't be tracked: the programs do not hear them", "see the kernel's log (dmesg)")
            {
                Effect = "nothing was written",
            };
        }
    });

    /// <summary>Opens programs that were pinned.</summary>
    /// <param name="device">The device.</param>
    /// <param name="place">Where it lies.</param>
    /// <param name="maps">Taken, whatever comes of it.</param>
    /// <param name="folder">Where they were pinned.</param>
    /// <exception cref="LinuxErrorException">One of them is not there.</exception>
    public static TrackerWatch OpenPinned(string device, DiskPlace place, TrackerMaps maps, StandingFolder folder) => Make(device, place, maps, watch =>
    {
        watch._pairs.Add(TrackerPair.OpenPinned(Landed, folder.Landed));
        watch._pairs.Add(TrackerPair.OpenPinned(Queued, folder.Queued));
    });

    /// <summary>Lets the programs and maps stay in the kernel under names.</summary>
    public void Pin(StandingFolder folder)
    {
        Maps.Pin(folder);
        _pairs[0].Pin(folder.Landed);
        _pairs[1].Pin(folder.Queued);
    }

    /// <summary>What has been missed so far.</summary>
    /// <remarks>
    /// An event that the second copy makes up for is counted as missed a moment before it is counted as made up for: a look says too many misses or the right number, and the least of some is taken.
    /// A request that ends is heard a moment before it is in the disk's statistics: a look says too little that was not heard or the right number, and the most of some is taken.
    /// </remarks>
    public TrackerCounters Count()
    {
        TrackerCounters said = CountOnce();
        for (int look = 1; look < Looks; look++)
        {
            TrackerCounters next = CountOnce();
            if (next == said)
            {
                break;
            }

            said = next with
            {
                Misses = Math.Min(next.Misses, said.Misses),
                UnheardLanded = Math.Max(next.UnheardLanded, said.UnheardLanded),
                UnheardQueued = Math.Max(next.UnheardQueued, said.UnheardQueued),
            };
        }

        return said;
    }

    /// <summary>Counts at a moment without writes under way on the whole disk, for which it waits a little: then nothing that was submitted and has not landed hides what was not heard.</summary>
    /// <returns>False when there was no such moment; the count is of another one then.</returns>
    public bool TryCountAtRest(out TrackerCounters counters)
    {
        long since = Stopwatch.GetTimestamp();
        SpinWait wait = default;
        while (true)
        {
            bool isAtRest = _place.CountWritesInFlightOnDisk() == 0;
            counters = Count();
            if (isAtRest && _place.CountWritesInFlightOnDisk() == 0)
            {
                return true;
            }

            if (Stopwatch.GetElapsedTime(since) > s_restLimit)
            {
                return false;
            }

            wait.SpinOnce();
        }
    }

    /// <summary>
    /// Reads a sector past the cache and sees whether the programs hear it, for a while: some kernels do not run programs in interrupts of certain processes, and a run may be missed when it interrupts another.
    /// </summary>
    public bool HearsItself()
    {
        long since = Stopwatch.GetTimestamp();
        SpinWait wait = default;
        while (!HearsOneRead())
        {
            if (Stopwatch.GetElapsedTime(since) > s_hearLimit)
            {
                return false;
            }

            wait.SpinOnce();
        }

        return true;
    }

    /// <summary>Stops hearing, as if the kernel had dropped the programs: for tests of what is noticed then.</summary>
    internal void Detach() => _pairs.ForEach(pair => pair.Detach());

    /// <inheritdoc/>
    public void Dispose()
    {
        _pairs.ForEach(pair => pair.Dispose());
        Maps.Dispose();
        ((IDisposable)_sector).Dispose();
        _handle.Dispose();
    }

    /// <summary>In this order: what is made up for after the first line can only make the misses too many.</summary>
    private TrackerCounters CountOnce()
    {
        ulong rescued = Maps[TrackerWord.Rescued];
        ulong misses = _pairs.Aggregate(0UL, (sum, pair) => sum + pair.FirstMisses);
        (long written, long landed, long queued) = CountBytes();
        return new TrackerCounters(unchecked((long)(misses - rescued)), Maps[TrackerWord.Lost], Maps[TrackerWord.Unknown], written - landed, written - queued);
    }

    /// <summary>
    /// What the disk has written and what was heard of it, of one moment: nothing was heard while the disk was asked. On a disk that is never quiet for that long, what was heard is that of a moment later: it is never too little.
    /// </summary>
    private (long Written, long Landed, long Queued) CountBytes()
    {
        long landed = Maps.SumLocal(TrackerLocal.LandedBytes);
        for (int tries = 0; ; tries++)
        {
            long written = _place.CountWrittenBytes();
            long queued = Maps.SumLocal(TrackerLocal.QueuedBytes);
            long then = landed;
            landed = Maps.SumLocal(TrackerLocal.LandedBytes);
            if (landed == then || tries == BracketsEach)
            {
                return (written, landed, queued);
            }
        }
    }

    /// <summary>What first copies noted before there were second ones.</summary>
    private void ForgetTaken()
    {
        for (int processor = 0; processor < Maps.Processors; processor++)
        {
            for (int word = 0; word < 2 * TrackerLocal.Taken; word++)
            {
                Maps.Local.Write((processor * TrackerLocal.Words) + word, 0);
            }
        }
    }

    private bool HearsOneRead()
    {
        ulong submitted = Maps[TrackerWord.HeardSubmitted];
        ulong completed = Maps[TrackerWord.HeardCompleted];
        Maps[TrackerWord.Listen] = 1;
        NativeFile.ReadExactly(_handle, _sector.GetSpan(), 0);
        Maps[TrackerWord.Listen] = 0;
        return Maps[TrackerWord.HeardSubmitted] != submitted && Maps[TrackerWord.HeardCompleted] != completed;
    }

    private static TrackerWatch Make(string device, DiskPlace place, TrackerMaps maps, Action<TrackerWatch> begin)
    {
        TrackerWatch? watch = null;
        try
        {
            watch = new TrackerWatch(device, place, maps);
            begin(watch);
            return watch;
        }
        catch
        {
            if (watch is null)
            {
                maps.Dispose();
            }

            watch?.Dispose();
            throw;
        }
    }
}
