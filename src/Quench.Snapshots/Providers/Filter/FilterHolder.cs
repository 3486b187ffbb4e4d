using System.Globalization;
using System.Net.Sockets;
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
using Quench.Snapshots.Providers.Filter.Supervision;
using Quench.Snapshots.Store;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// The process that holds a volume from attach to detach: its name, its origin, the FUSE connection and the control socket. It serves no request
/// itself; it starts the workers that do, and another one when one dies or hangs. It writes its answer ("ready" or the failure) as one JSON line on
/// standard output and nothing there afterwards.
/// </summary>
public static class FilterHolder
{
    /// <summary>The hidden command that starts the holder's process.</summary>
    public const string CommandName = "filter-holder";

    /// <summary>Keeps the holder's heap small, so that all of it can be locked; workers do without.</summary>
    internal const string HeapLimit = "DOTNET_GCHeapHardLimit";

    /// <summary>How many clients may wait at the door between two workers.</summary>
    internal const int PendingClients = 64;

    private const string Supervised = "supervised";
    private const string Unsupervised = "unsupervised";
    private const int SmallestSector = 512; // of a loop device

    /// <summary>Runs a holder until its volume is detached.</summary>
    /// <param name="arguments">Those of <see cref="Words"/>.</param>
    /// <returns>The process exit code.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        FilterDirectory directory = FilterDirectory.For(arguments[0]);
        string originPath = arguments[1];
        using Stream output = Console.OpenStandardOutput();
        try
        {
            GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
            ProcessControl.TryAvoidOutOfMemoryKiller();
            ProcessControl.TryBecomeIoFlusher();
            AttachOptions options = new()
            {
                Threads = int.Parse(arguments[2], CultureInfo.InvariantCulture),
                TracksChanges = WorkerSetup.IsTracking(arguments[3]),
                IsSupervised = arguments[4] == Supervised,
                HangLimit = TimeSpan.FromMilliseconds(long.Parse(arguments[5], CultureInfo.InvariantCulture)),
            };
            await HoldAsync(directory, originPath, options, output);
            return 0;
        }
        catch (Exception failure) when (failure is QuenchException or IOException or NotSupportedException or UnauthorizedAccessException or SocketException)
        {
            Report(failure); // nobody may be reading the answer any more
            Answer(output, originPath, failure);
            return 1;
        }
    }

    /// <summary>The words that start a holder.</summary>
    internal static IReadOnlyList<string> Words(string name, string origin, AttachOptions options) =>
    [
        CommandName, name, origin,
        options.Threads.ToString(CultureInfo.InvariantCulture),
        WorkerSetup.TrackingWord(options.TracksChanges),
        options.IsSupervised ? Supervised : Unsupervised,
        ((long)options.HangLimit.TotalMilliseconds).ToString(CultureInfo.InvariantCulture),
    ];

    private static async Task HoldAsync(FilterDirectory directory, string originPath, AttachOptions options, Stream output)
    {
        using SafeFileHandle mark = TakeName(directory);
        try
        {
            DemandNoRemains(directory);
            await HoldNamedAsync(directory, mark, originPath, options, output);
            AdvisoryLock.Release(mark); // a worker that can't end yet has it too
        }
        catch when (!File.Exists(directory.State))
        {
            directory.Remove(); // nothing was attached and the name is ours: leave nothing that would look like a volume
            throw;
        }
    }

    private static async Task HoldNamedAsync(FilterDirectory directory, SafeFileHandle mark, string originPath, AttachOptions options, Stream output)
    {
        await using Disk origin = Disk.Open(originPath, DeviceAccess.ReadWrite, exclusive: true);
        int sectorSize = SectorSizeFor(origin.Geometry, originPath);
        Directory.CreateDirectory(directory.Mount);
        FuseDevice.TryUnmount(directory.Mount, detach: true); // what a dead holder may have left
        using FuseConnection connection = FuseConnection.Mount(directory.Mount, "quench:" + directory.Name);
        DemandResend(connection.Agreement, options);
        using Socket door = OpenDoor(directory);
        using SharedMemory page = SharedMemory.Create("quench-holder", HolderPage.Cells);
        HolderPage told = new(page);
        told.Begin(Environment.ProcessId, options.IsSupervised, connection.Agreement);
        using HolderPlace first = new(options.Threads, options.HangLimit);
        using HolderPlace second = new(options.Threads, options.HangLimit);
        HolderPlace[] places = [first, second];
        foreach (HolderPlace place in places)
        {
            WorkerSetup setup = new(
                WorkerSetup.ThisProtocol, directory.Name, Path.GetFullPath(originPath), options.Threads, options.TracksChanges,
                Number(connection.Handle), (int)door.SafeHandle.DangerousGetHandle(), Number(origin.Handle), Number(page.File), place.BoardDescriptor, place.WorkersEnd);
            // The lock goes with them: the name is in use for as long as anybody serves it, even when we are gone.
            place.Use(new ChildProgram(
                [.. SelfProcess.Command(), FilterWorker.CommandName, .. setup.ToWords()],
                [setup.Connection, setup.Door, setup.Held, setup.Page, setup.Board, setup.Line, Number(mark)],
                without: [HeapLimit]));
        }

        using DeviceThread device = new(() => AttachDevice(directory, originPath, origin.Geometry.Length, sectorSize, output), Report);
        ProcessControl.TryLockAllMemory();
        using HolderLoop loop = new(new SupervisorCore(new SupervisorPace(), options.IsSupervised), places, told, device, Log, TimeProvider.System);
        HolderEnd end = loop.Run();
        if (device.NotAttached is { } notAttached)
        {
            throw notAttached;
        }

        if (end.GaveUp)
        {
            throw NoWorker(directory);
        }

        Close(directory, originPath, origin, end);
    }

    /// <summary>The device is gone. What the last worker could not do because it died, is done here.</summary>
    private static void Close(FilterDirectory directory, string originPath, Disk origin, HolderEnd end)
    {
        if (!end.Orderly)
        {
            origin.Flush();
        }

        if (!end.Orderly && end.IsOver)
        {
            KeptSnapshots.CleanUpAfterDead(directory, Path.GetFullPath(originPath), origin.Geometry.Length);
            DeadTracking.Seal(directory, Path.GetFullPath(originPath), origin.Geometry.Length);
        }
        else if (!end.Orderly)
        {
            KeptSnapshots.DetachExposed(directory); // what a worker that can't end may still write, nobody may believe: no seal
        }

        File.Delete(directory.State);
    }

    /// <summary>Puts the block device over the volume's file, and tells the world.</summary>
    private static string AttachDevice(FilterDirectory directory, string originPath, long length, int sectorSize, Stream output)
    {
        string device;
        using (SafeFileHandle backing = NativeFile.Open(Path.Combine(directory.Mount, FilterWorker.VolumeFile), OpenMode.ReadWrite | OpenMode.Direct))
        {
            device = LoopDevice.Attach(backing, sectorSize, readOnly: false, "quench:" + directory.Name);
        }

        try
        {
            AttachmentRecord record = new(directory.Name, Path.GetFullPath(originPath), device, length, Environment.ProcessId);
            string draft = directory.State + ".new";
            File.WriteAllText(draft, JsonSerializer.Serialize(record, ControlJson.Default.AttachmentRecord));
            if (!NativeFile.TryRenameNoReplace(draft, directory.State)) // whoever lists volumes sees all of it or nothing
            {
                throw new IOException($"{directory.State} is there although the name was free");
            }
        }
        catch
        {
            LoopDevice.TryDetach(device); // nobody has been told of it yet
            throw;
        }

        Answer(output, new ControlReply { Path = device });
        return device;
    }

    private static Socket OpenDoor(FilterDirectory directory)
    {
        File.Delete(directory.Socket);
        Socket door = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        door.Bind(new UnixDomainSocketEndPoint(directory.Socket));
        File.SetUnixFileMode(directory.Socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        door.Listen(PendingClients);
        return door;
    }

    /// <summary>Without resending, a worker's death can't be survived: that must not be found out when it happens.</summary>
    private static void DemandResend(FuseAgreement agreement, AttachOptions options)
    {
        if (options.IsSupervised && !agreement.CanResend)
        {
            throw new QuenchException(
                "SNAP-143",
                string.Create(CultureInfo.InvariantCulture, $"this kernel (FUSE 7.{agreement.Minor}) can't give the requests of a worker that died to the next one: that came with FUSE 7.40 (Linux 6.9)"),
                "use a newer kernel, or attach with --without-supervisor and accept that the volume's users see I/O errors when the worker dies")
            {
                Effect = "nothing was attached",
            };
        }
    }

    /// <summary>Refuses a name whose last holder died: its device is still there, and its books must not be lost.</summary>
    private static void DemandNoRemains(FilterDirectory directory)
    {
        if (File.Exists(directory.State))
        {
            throw new QuenchException(
                "SNAP-141", $"nobody serves volume {directory.Name} any more, and its device is still there", $"unmount it, then `quench detach {directory.Name}`, then attach again")
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

    private static QuenchException NoWorker(FilterDirectory directory) =>
        new("SNAP-134", $"no worker of volume {directory.Name} serves it, and none could be started", $"see {directory.Log}") { Effect = "if the volume was attached, its device answers errors" };

    private static int Number(SafeFileHandle handle) => (int)handle.DangerousGetHandle();

    private static void Report(Exception failure) => Log(failure.Message);

    private static void Log(string line) =>
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():O} holder: {line}"));

    private static void Answer(Stream output, string originPath, Exception failure)
    {
        QuenchException? told = failure as QuenchException;
        Answer(output, new ControlReply
        {
            Code = told?.Code ?? "SNAP-134",
            Message = told?.Message ?? $"{originPath} can't be attached: {failure.Message}",
            Next = told?.Next ?? "see the kernel's log (`dmesg`); the filter needs /dev/fuse and loop devices",
            Effect = told?.Effect ?? "nothing was attached",
            ExitCode = told?.ExitCode ?? 1,
        });
    }

    private static void Answer(Stream output, ControlReply reply)
    {
        try
        {
            output.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(reply, ControlJson.Default.ControlReply) + "\n"));
            output.Flush();
        }
        catch (IOException)
        {
            // Whoever started us has gone: the volume stays, `quench volumes` shows it.
        }
    }
}
