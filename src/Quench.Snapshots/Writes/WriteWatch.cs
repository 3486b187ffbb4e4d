using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Writes;

/// <summary>
/// Hears every write to a volume and tells who wrote it, from the moment that <see cref="Start"/> returns. Two programs in the kernel do the hearing; they and all of their memory are gone when
/// it is disposed and when its process ends in any way. It reads events only: nothing is held, frozen or slowed but by the programs' own run time. Not thread-safe.
/// </summary>
public sealed class WriteWatch : IDisposable
{
    private readonly WriteMaps _maps;
    private readonly List<BpfProgram> _programs = [];
    private readonly WriteReader _reader;

    private WriteWatch(WatchedVolume volume, WriteMaps maps, TimeProvider clock)
    {
        Volume = volume;
        _maps = maps;
        _reader = new WriteReader(volume, new MonotonicTime(clock));
    }

    /// <summary>What is watched.</summary>
    public WatchedVolume Volume { get; }

    /// <summary>What has been missed so far.</summary>
    public WriteLosses Losses => new(
        Missed: (long)_programs.Aggregate(0UL, (sum, program) => sum + program.CountMisses()),
        Events: (long)_maps[WriteWord.LostEvents] + _reader.Foreign,
        Bytes: (long)_maps[WriteWord.LostBytes],
        Unread: (long)_maps[WriteWord.Unread],
        Names: (long)_maps[WriteWord.LostNames],
        Pages: (long)_maps[WriteWord.Unnoted],
        ApproximateBytes: (long)_maps[WriteWord.Approximate]);

    /// <summary>Begins to watch. When it returns, every later write is heard.</summary>
    /// <param name="volume">From <see cref="WatchedVolume.Find"/>.</param>
    /// <param name="options">How much memory it may take.</param>
    /// <param name="clock">Gives events their time.</param>
    /// <exception cref="QuenchException">ACT-102: the kernel refused; ACT-103, SNAP-181: a kernel that tells too little of itself.</exception>
    public static WriteWatch Start(WatchedVolume volume, WriteWatchOptions options, TimeProvider clock)
    {
        WriteLayout layout = WriteLayout.OfThisKernel();
        WriteTarget target = volume.ToTarget();
        WriteWatch? watch = null;
        try
        {
            watch = new WriteWatch(volume, WriteMaps.Create(options), clock);
            watch.Attach("quench_dirty", WriteProgram.ForDirtyPages(layout, target, watch._maps), layout.DirtyTracepoint);
            watch.Attach("quench_writes", WriteProgram.ForRequests(layout, target, watch._maps), Providers.Tracked.RequestLayout.Submission);
            watch.DemandHearing();
            return watch;
        }
        catch (LinuxErrorException failure)
        {
            watch?.Dispose();
            throw Refused(volume.Device, failure.Message, failure);
        }
        catch
        {
            watch?.Dispose();
            throw;
        }
    }

    /// <summary>Takes the events that have come since the last call, in the order in which they were sent; about that, for two processors may come at once.</summary>
    /// <param name="into">They are added here.</param>
    /// <returns>How many.</returns>
    public int Take(ICollection<WriteEvent> into) => _reader.Take(_maps.Events, into);

    /// <inheritdoc/>
    public void Dispose()
    {
        _programs.ForEach(program => program.Dispose());
        _maps.Dispose();
    }

    private void Attach(string name, ulong[] code, string tracepoint)
    {
        BpfProgram program = BpfProgram.Load(name, code);
        _programs.Add(program);
        program.AttachTo(tracepoint);
    }

    /// <summary>
    /// Reads a sector past the cache and sees whether it is heard. Where even root may not open the device, that it was accepted at the tracepoint must do.
    /// </summary>
    private void DemandHearing()
    {
        ulong before = _maps[WriteWord.Heard];
        try
        {
            using SafeFileHandle device = NativeFile.Open(Volume.Device, OpenMode.ReadOnly | OpenMode.Direct);
            using NativeBuffer sector = new(BlockDevice.GetLogicalSectorSize(device));
            NativeFile.ReadExactly(device, sector.GetSpan(), 0);
        }
        catch (LinuxErrorException failure) when (failure.Errno is Errno.EPERM or Errno.EACCES)
        {
            return;
        }

        if (_maps[WriteWord.Heard] == before)
        {
            throw Refused(Volume.Device, "the programs do not hear a read of our own", null);
        }
    }

    private static QuenchException Refused(string device, string why, Exception? cause) =>
        new("ACT-102", $"writes to {device} can't be watched: {why}", "run it as root on Linux 5.12 or newer, and see whether the kernel is locked down (`cat /sys/kernel/security/lockdown`)", cause)
        {
            Effect = "nothing was touched",
        };
}
