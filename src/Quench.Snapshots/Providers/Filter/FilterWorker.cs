using System.Globalization;
using System.Runtime;
using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Loop;
using Quench.Snapshots.Store;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// The process that is a volume's writer: it holds the origin, serves the FUSE file, and puts a loop device over it. It lives from attach to
/// detach; it writes its answer ("ready" or the failure) as one JSON line on standard output and nothing there afterwards.
/// </summary>
public static class FilterWorker
{
    /// <summary>The hidden command that starts the worker's process.</summary>
    public const string CommandName = "filter-worker";

    internal const string Track = "track";
    internal const string NoTrack = "no-track";

    private const int BlockSize = 4096;
    private const int SmallestSector = 512; // of a loop device

    /// <summary>Runs a worker until its volume is detached.</summary>
    /// <param name="arguments">The name, the origin's path, the number of threads, whether to track changes.</param>
    /// <returns>The process exit code.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        FilterDirectory directory = FilterDirectory.For(arguments[0]);
        string originPath = arguments[1];
        int threads = int.Parse(arguments[2], CultureInfo.InvariantCulture);
        using Stream output = Console.OpenStandardOutput();
        try
        {
            await ServeAsync(directory, originPath, threads, arguments[3] == Track, output);
            return 0;
        }
        catch (Exception failure) when (failure is QuenchException or IOException or NotSupportedException or UnauthorizedAccessException)
        {
            Report(failure); // nobody may be reading the answer any more
            QuenchException? told = failure as QuenchException;
            Answer(output, new ControlReply
            {
                Code = told?.Code ?? "SNAP-134",
                Message = told?.Message ?? $"{originPath} can't be attached: {failure.Message}",
                Next = told?.Next ?? "see the kernel's log (`dmesg`); the filter needs /dev/fuse and loop devices",
                Effect = told?.Effect ?? "nothing was attached",
                ExitCode = told?.ExitCode ?? 1,
            });
            return 1;
        }
    }

    private static async Task ServeAsync(FilterDirectory directory, string originPath, int threads, bool tracks, Stream output)
    {
        GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
        ProcessControl.TryAvoidOutOfMemoryKiller();
        ProcessControl.TryBecomeIoFlusher();
        using SafeFileHandle mark = TakeName(directory);
        try
        {
            await ServeNamedAsync(directory, originPath, threads, tracks, output);
        }
        catch when (!File.Exists(directory.State))
        {
            directory.Remove(); // nothing was attached and the name is ours: leave nothing that would look like a volume
            throw;
        }
    }

    private static async Task ServeNamedAsync(FilterDirectory directory, string originPath, int threads, bool tracks, Stream output)
    {
        DemandNoRemains(directory);
        await using Disk origin = Disk.Open(originPath, DeviceAccess.ReadWrite, exclusive: true);
        int sectorSize = SectorSizeFor(origin.Geometry, originPath);
        TrackingStart tracking = TrackingStart.Begin(directory, origin, tracks, Report);
        using WriteTracker? tracker = tracking.Tracker;
        using KeptSnapshots kept = KeptSnapshots.Open(directory, origin, TimeProvider.System, Report);
        try
        {
            await ServeTrackedAsync(directory, originPath, origin, sectorSize, tracking, kept, threads, output);
        }
        catch when (!File.Exists(directory.State))
        {
            await kept.CloseAsync();
            await CloseAsync(tracker, directory.Name, origin); // nobody has written: nothing is to be doubted
            throw;
        }

        origin.Flush();
        await kept.CloseAsync();
        await CloseAsync(tracker, directory.Name, origin);
        File.Delete(directory.State);
    }

    private static async Task ServeTrackedAsync(
        FilterDirectory directory, string originPath, Disk origin, int sectorSize, TrackingStart tracking, KeptSnapshots kept, int threads, Stream output)
    {
        FilterVolume volume = new(origin, BlockSize, tracking, kept);
        Directory.CreateDirectory(directory.Mount);
        FuseDevice.TryUnmount(directory.Mount, detach: true); // what a dead worker may have left
        using FuseSession session = FuseSession.Mount(directory.Mount, "quench:" + directory.Name, threads, Report);
        string file = session.Add("volume", volume);
        string device = AttachLoop(file, sectorSize, directory.Name);
        try
        {
            await ServeDeviceAsync(directory, new AttachmentRecord(directory.Name, Path.GetFullPath(originPath), device, volume.Length, Environment.ProcessId), volume, session, output);
        }
        catch when (!File.Exists(directory.State))
        {
            LoopDevice.TryDetach(device); // nobody has been told of it yet
            throw;
        }
    }

    /// <summary>Writes down that the volume was detached in order; takes the state away when it tells nothing.</summary>
    private static async Task CloseAsync(WriteTracker? tracker, string name, Disk origin)
    {
        if (tracker is { HasSomethingToKeep: true })
        {
            await OriginLook.LetClockTickAsync(origin.Path, TimeProvider.System);
            tracker.Close(OriginLook.At(origin.Path, origin.Geometry.Length).Stamp);
        }
        else if (tracker is not null)
        {
            StateDirectory.For(name).Remove();
        }
    }

    private static async Task ServeDeviceAsync(
        FilterDirectory directory, AttachmentRecord record, FilterVolume volume, FuseSession session, Stream output)
    {
        ProcessControl.TryLockMemory();
        TaskCompletionSource detached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using ControlServer control = new(directory, volume, session, () => LoopDevice.TryDetach(record.Device), () => detached.TrySetResult());
        control.Start();
        string draft = directory.State + ".new";
        await File.WriteAllTextAsync(draft, JsonSerializer.Serialize(record, ControlJson.Default.AttachmentRecord));
        if (!NativeFile.TryRenameNoReplace(draft, directory.State)) // whoever lists volumes sees all of it or nothing
        {
            throw new IOException($"{directory.State} is there although the name was free");
        }

        Answer(output, new ControlReply { Path = record.Device });
        await detached.Task;
    }

    /// <summary>Refuses a name whose last worker died: its device is still there, and its books must not be lost.</summary>
    private static void DemandNoRemains(FilterDirectory directory)
    {
        if (File.Exists(directory.State))
        {
            throw new QuenchException(
                "SNAP-141", $"the last worker of volume {directory.Name} died, and its device is still there", $"unmount it, then `quench detach {directory.Name}`, then attach again")
            {
                ExitCode = 11,
                Effect = "nothing was attached",
            };
        }
    }

    /// <summary>The sector of the block device, and with it the proof that the origin can be one: a last part of a sector would be cut off.</summary>
    private static int SectorSizeFor(BlockGeometry origin, string path)
    {
        int sectorSize = Math.Max(origin.SectorSize, SmallestSector);
        return origin.Length > 0 && origin.Length % sectorSize == 0
            ? sectorSize
            : throw new QuenchException(
                "SNAP-140",
                origin.Length == 0
                    ? $"{path} is empty, so there is nothing to attach"
                    : string.Create(CultureInfo.InvariantCulture, $"{path} has {origin.Length} bytes, which is not a whole number of sectors of {sectorSize} bytes"),
                "lengthen it to whole sectors (truncate --size=%4096), or choose another device or image file")
            {
                Effect = "nothing was attached",
            };
    }

    /// <summary>Claims the name for this process's life.</summary>
    private static SafeFileHandle TakeName(FilterDirectory directory)
    {
        while (true)
        {
            Directory.CreateDirectory(directory.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            SafeFileHandle mark = NativeFile.Open(directory.Lock, OpenMode.ReadWrite | OpenMode.Create);
            if (!AdvisoryLock.TryTake(mark))
            {
                mark.Dispose();
                throw NameInUse(directory);
            }

            if (IsStillNamed(mark, directory.Lock))
            {
                return mark;
            }

            mark.Dispose(); // whoever had the name before us has just removed the folder, and this file with it
        }
    }

    private static bool IsStillNamed(SafeFileHandle file, string path) =>
        NativeFile.TryGetStatus(path) is { } there
        && NativeFile.TryGetStatus(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{file.DangerousGetHandle()}")) is { } ours
        && there.Inode == ours.Inode;

    private static QuenchException NameInUse(FilterDirectory directory) =>
        new("SNAP-135", $"a volume named {directory.Name} is attached already", "choose another name; `quench volumes` lists those in use")
        {
            ExitCode = 11,
            Effect = "nothing was attached",
        };

    private static string AttachLoop(string file, int sectorSize, string name)
    {
        using SafeFileHandle backing = NativeFile.Open(file, OpenMode.ReadWrite | OpenMode.Direct);
        return LoopDevice.Attach(backing, sectorSize, readOnly: false, "quench:" + name);
    }

    private static void Report(Exception failure) =>
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():O} {failure.Message}"));

    private static void Answer(Stream output, ControlReply reply)
    {
        output.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(reply, ControlJson.Default.ControlReply) + "\n"));
        output.Flush();
    }
}
