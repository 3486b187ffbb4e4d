using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>The programs at work on one device, and every sign that they are not or have missed something. Not thread-safe.</summary>
internal sealed class TrackerWatch : IDisposable
{
    private const string Landed = "quench_landed";
    private const string Queued = "quench_queued";
    private const int MostTries = 5;
    private const int Looks = 4;

    private readonly SafeFileHandle _handle;
    private readonly NativeBuffer _sector;
    private readonly List<TrackerPair> _pairs = [];

    private TrackerWatch(string device, TrackerMaps maps)
    {
        Maps = maps;
        _handle = NativeFile.Open(device, OpenMode.ReadOnly | OpenMode.Direct);
        _sector = new NativeBuffer(BlockDevice.GetLogicalSectorSize(_handle));
    }

    /// <summary>What they share with user space; its own.</summary>
    public TrackerMaps Maps { get; }

    /// <summary>Loads the programs and lets them run. When it returns, every later write is heard.</summary>
    /// <param name="device">The device.</param>
    /// <param name="target">Where it lies.</param>
    /// <param name="maps">Taken, whatever comes of it.</param>
    /// <exception cref="QuenchException">SNAP-180, SNAP-181.</exception>
    public static TrackerWatch Start(string device, TrackerTarget target, TrackerMaps maps) => Make(device, maps, watch =>
    {
        RequestLayout layout = RequestLayout.OfThisKernel();
        watch._pairs.Add(TrackerPair.Attach(Landed, RequestLayout.Completion, turn => TrackerProgram.ForCompletion(layout, target, maps, turn)));
        watch._pairs.Add(TrackerPair.Attach(Queued, RequestLayout.Submission, turn => TrackerProgram.ForSubmission(layout, target, maps, turn)));
        ForgetTaken(maps.Taken!);
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
    /// <param name="maps">Taken, whatever comes of it.</param>
    /// <param name="folder">Where they were pinned.</param>
    /// <exception cref="LinuxErrorException">One of them is not there.</exception>
    public static TrackerWatch OpenPinned(string device, TrackerMaps maps, StandingFolder folder) => Make(device, maps, watch =>
    {
        watch._pairs.Add(TrackerPair.OpenPinned(Landed, folder.Landed));
        watch._pairs.Add(TrackerPair.OpenPinned(Queued, folder.Queued));
    });

    /// <summary>Lets the programs and maps stay in the kernel under names.</summary>
    public void Pin(StandingFolder folder)
    {
        Maps.Bits.Pin(folder.Bits);
        Maps.Control.Pin(folder.Control);
        _pairs[0].Pin(folder.Landed);
        _pairs[1].Pin(folder.Queued);
    }

    /// <summary>What has been missed so far.</summary>
    /// <remarks>
    /// An event that the second copy makes up for is counted as missed a moment before it is counted as made up for. So each look says too many or the right number, and the least of some is taken:
    /// it is not less than what had been missed when the first began.
    /// </remarks>
    public TrackerCounters Count()
    {
        TrackerCounters least = CountOnce();
        for (int look = 1; look < Looks; look++)
        {
            TrackerCounters next = CountOnce();
            least = next with { Misses = Math.Min(next.Misses, least.Misses) };
        }

        return least;
    }

    /// <summary>Reads a sector past the cache and sees whether both programs hear it. A run may be missed, when one interrupts another, so it is tried more than once.</summary>
    public bool HearsItself()
    {
        for (int tries = 0; tries < MostTries; tries++)
        {
            if (HearsOneRead())
            {
                return true;
            }
        }

        return false;
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

    /// <summary>In this order: what is made up for after the first line can only make the result too high.</summary>
    private TrackerCounters CountOnce()
    {
        ulong rescued = Maps[TrackerWord.Rescued];
        ulong misses = _pairs.Aggregate(0UL, (sum, pair) => sum + pair.FirstMisses);
        return new TrackerCounters((long)(misses - rescued), Maps[TrackerWord.Lost], Maps[TrackerWord.Unknown]);
    }

    /// <summary>What first copies noted before there were second ones.</summary>
    private static void ForgetTaken(BpfMap taken)
    {
        for (int word = taken.NextNonZero(0); word < taken.Length; word = taken.NextNonZero(word + 1))
        {
            taken.Write(word, 0);
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

    private static TrackerWatch Make(string device, TrackerMaps maps, Action<TrackerWatch> begin)
    {
        TrackerWatch? watch = null;
        try
        {
            watch = new TrackerWatch(device, maps);
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
