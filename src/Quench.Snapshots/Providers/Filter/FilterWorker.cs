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

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// The process that is a volume's writer: it holds the origin, serves the FUSE file, and puts a loop device over it. It lives from attach to
/// detach; it writes its answer ("ready" or the failure) as one JSON line on standard output and nothing there afterwards.
/// </summary>
public static class FilterWorker
{
    /// <summary>The hidden command that starts the worker's process.</summary>
    public const string CommandName = "filter-worker";

    private const int BlockSize = 4096;

    /// <summary>Runs a worker until its volume is detached.</summary>
    /// <param name="arguments">The name, the origin's path, the number of threads.</param>
    /// <returns>The process exit code.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        FilterDirectory directory = FilterDirectory.For(arguments[0]);
        string originPath = arguments[1];
        int threads = int.Parse(arguments[2], CultureInfo.InvariantCulture);
        using Stream output = Console.OpenStandardOutput();
        try
        {
            await ServeAsync(directory, originPath, threads, output);
            return 0;
        }
        catch (Exception failure) when (failure is QuenchException or IOException or NotSupportedException or UnauthorizedAccessException)
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
            return 1;
        }
    }

    private static async Task ServeAsync(FilterDirectory directory, string originPath, int threads, Stream output)
    {
        GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
        ProcessControl.TryAvoidOutOfMemoryKiller();
        ProcessControl.TryBecomeIoFlusher();
        using SafeFileHandle mark = TakeName(directory);
        await using Disk origin = Disk.Open(originPath, DeviceAccess.ReadWrite, exclusive: true);
        FilterVolume volume = new(origin, BlockSize);
        Directory.CreateDirectory(directory.Mount);
        FuseDevice.TryUnmount(directory.Mount, detach: true); // what a dead worker may have left
        using FuseSession session = FuseSession.Mount(directory.Mount, "quench:" + directory.Name, threads, Report);
        string file = session.Add("volume", volume);
        string device = AttachLoop(file, origin.Geometry.SectorSize, directory.Name);
        ProcessControl.TryLockMemory();
        TaskCompletionSource detached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using ControlServer control = new(directory, volume, session, () => LoopDevice.TryDetach(device), () => detached.TrySetResult());
        control.Start();
        AttachmentRecord record = new(directory.Name, Path.GetFullPath(originPath), device, volume.Length, Environment.ProcessId);
        await File.WriteAllTextAsync(directory.State, JsonSerializer.Serialize(record, ControlJson.Default.AttachmentRecord));
        Answer(output, new ControlReply { Path = device });
        await detached.Task;
        origin.Flush();
        File.Delete(directory.State);
    }

    /// <summary>Claims the name for this process's life.</summary>
    private static SafeFileHandle TakeName(FilterDirectory directory)
    {
        Directory.CreateDirectory(directory.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        SafeFileHandle mark = NativeFile.Open(directory.Lock, OpenMode.ReadWrite | OpenMode.Create);
        if (AdvisoryLock.TryTake(mark))
        {
            return mark;
        }

        mark.Dispose();
        throw new QuenchException("SNAP-135", $"a volume named {directory.Name} is attached already", "choose another name; `quench volumes` lists those in use")
        {
            ExitCode = 11,
            Effect = "nothing was attached",
        };
    }

    private static string AttachLoop(string file, int sectorSize, string name)
    {
        using SafeFileHandle backing = NativeFile.Open(file, OpenMode.ReadWrite | OpenMode.Direct);
        return LoopDevice.Attach(backing, Math.Max(sectorSize, 512), readOnly: false, "quench:" + name);
    }

    private static void Report(Exception failure) =>
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():O} {failure.Message}"));

    private static void Answer(Stream output, ControlReply reply)
    {
        output.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(reply, ControlJson.Default.ControlReply) + "\n"));
        output.Flush();
    }
}
