using System.Diagnostics;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Loop;
using Quench.Snapshots.Store;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>Putting a volume under the filter, and taking it out again.</summary>
public static class FilterAttachment
{
    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(30);

    /// <summary>Starts a worker for a device or an image file. When it returns, the block device is there.</summary>
    /// <param name="originPath">What to stand on; nobody else may be using it.</param>
    /// <param name="name">The name it is known by until it is detached.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Gives up; a worker that was started is ended.</param>
    /// <exception cref="QuenchException">SNAP-130, SNAP-134, SNAP-135, SNAP-136, SNAP-140, BLOCK-101 to BLOCK-105. Nothing of the attempt stays, but for the log of a worker that did not start.</exception>
    public static async Task<AttachedVolume> AttachAsync(string originPath, string name, AttachOptions options, CancellationToken cancellationToken)
    {
        FilterDirectory directory = FilterDirectory.For(name);
        if (!ProcessControl.IsRoot)
        {
            throw new QuenchException("SNAP-136", "attaching a volume needs root", "run it with sudo") { Effect = "nothing was attached" };
        }

        Directory.CreateDirectory(directory.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        ProcessControl.TryKeepDescriptorsToOurselves(); // the holder outlives us by far
        using Process holder = Process.Start(HolderStart(directory, Path.GetFullPath(originPath), options))!;
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_startLimit);
        try
        {
            string? line = await holder.StandardOutput.ReadLineAsync(limit.Token);
            JsonSerializer.Deserialize(line ?? throw DidNotStart(directory), ControlJson.Default.ControlReply)!.Demand();
        }
        catch (OperationCanceledException)
        {
            holder.Kill();
            cancellationToken.ThrowIfCancellationRequested();
            throw DidNotStart(directory);
        }

        return FilterVolumes.TryRead(directory) ?? throw DidNotStart(directory);
    }

    /// <summary>Gives an attached disk's device its partitions, as devices of their own: DEVICEp1 and so on. They go with it.</summary>
    /// <param name="volume">Attached.</param>
    /// <param name="partitions">Number and place of each, as its table has them; those that the kernel finds by itself are left alone.</param>
    /// <returns>How many it has now.</returns>
    public static int ShowPartitions(AttachedVolume volume, IEnumerable<(int Number, Extent Extent)> partitions)
    {
        LoopDevice.AllowPartitions(volume.Device);
        using SafeFileHandle disk = NativeFile.Open(volume.Device, OpenMode.ReadOnly);
        int count = 0;
        foreach ((int number, Extent extent) in partitions)
        {
            BlockDevice.TryAddPartition(disk, number, extent.Offset, extent.Length);
            count++;
        }

        return count;
    }

    /// <summary>
    /// Has a new worker take over, from the program that is on disk now. Production goes on; a worker in pass-through is followed by one in full service.
    /// </summary>
    /// <exception cref="QuenchException">SNAP-131, SNAP-137, SNAP-145, SNAP-146: nobody answers, there is no such volume, it has a snapshot, no worker came.</exception>
    public static async Task<VolumeSupervision> UpgradeAsync(string name, CancellationToken cancellationToken)
    {
        FilterDirectory directory = FilterDirectory.For(name);
        AttachedVolume volume = FilterVolumes.TryRead(directory)
            ?? throw new QuenchException("SNAP-137", $"no volume named {name} is attached", "`quench volumes` lists those that are");
        VolumeSupervision before = FilterVolumes.GetSupervision(volume) ?? throw DidNotAnswer(directory);
        using (ControlClient client = ControlClient.TryConnect(directory) ?? throw DidNotAnswer(directory))
        {
            try
            {
                client.Ask(new ControlRequest { Op = "upgrade" });
            }
            catch (QuenchException gone) when (gone.Code == ControlClient.GoneCode)
            {
                // So it must be: the worker that we asked has handed over and ended.
            }
        }

        return await WaitForWorkerAsync(volume, directory, before, cancellationToken);
    }

    private static async Task<VolumeSupervision> WaitForWorkerAsync(AttachedVolume volume, FilterDirectory directory, VolumeSupervision before, CancellationToken cancellationToken)
    {
        long since = Stopwatch.GetTimestamp();
        using PeriodicTimer look = new(s_look);
        while (Stopwatch.GetElapsedTime(since) < s_startLimit)
        {
            if (FilterVolumes.GetSupervision(volume) is { } now && now.WorkerId != before.WorkerId)
            {
                return now;
            }

            await look.WaitForNextTickAsync(cancellationToken);
        }

        throw DidNotAnswer(directory);
    }

    /// <summary>Takes a volume out of the filter. When it returns, the device is gone and the origin is closed and flushed.</summary>
    /// <exception cref="QuenchException">SNAP-132, SNAP-133, SNAP-137, SNAP-142: it has a snapshot, it is in use, there is no such volume, its worker did not end in order.</exception>
    public static async Task DetachAsync(string name, CancellationToken cancellationToken)
    {
        FilterDirectory directory = FilterDirectory.For(name);
        AttachedVolume volume = FilterVolumes.TryRead(directory)
            ?? throw new QuenchException("SNAP-137", $"no volume named {name} is attached", "`quench volumes` lists those that are");
        if (volume.State == AttachmentState.Dead)
        {
            CleanUpAfterDeadWorker(directory, volume);
            return;
        }

        using (ControlClient client = ControlClient.TryConnect(directory) ?? throw DidNotAnswer(directory))
        {
            client.Ask(new ControlRequest { Op = "detach" });
        }

        await WaitForEndAsync(directory, cancellationToken);
        Directory.Delete(directory.Folder, recursive: true);
    }

    /// <summary>The holder's process: in a session of its own, its words in its log, the arguments passed as they are.</summary>
    private static ProcessStartInfo HolderStart(FilterDirectory directory, string origin, AttachOptions options)
    {
        ProcessStartInfo start = SelfProcess.Detached(directory.Log, FilterHolder.Words(directory.Name, origin, options));

        // Neither it nor its workers allocate while they serve: they need no collector beside them.
        start.Environment["DOTNET_gcConcurrent"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";
        start.Environment[FilterHolder.HeapLimit] = "0x2000000";
        return start;
    }

    /// <summary>Waits until nobody serves the name any more: the holder and its workers have its lock as long as one of them lives.</summary>
    private static async Task WaitForEndAsync(FilterDirectory directory, CancellationToken cancellationToken)
    {
        long since = Stopwatch.GetTimestamp();
        using SafeFileHandle mark = NativeFile.Open(directory.Lock, OpenMode.ReadWrite);
        using PeriodicTimer look = new(s_look);
        while (!AdvisoryLock.TryTake(mark))
        {
            if (Stopwatch.GetElapsedTime(since) > s_endLimit)
            {
                throw DidNotEnd(directory);
            }

            await look.WaitForNextTickAsync(cancellationToken);
        }

        if (File.Exists(directory.State))
        {
            throw DidNotEnd(directory); // the state is taken away only when the origin has been flushed
        }
    }

    private static void CleanUpAfterDeadWorker(FilterDirectory directory, AttachedVolume volume)
    {
        if (!LoopDevice.TryDetach(volume.Device))
        {
            throw new QuenchException("SNAP-133", $"volume {volume.Name} is mounted or open", "unmount it first (umount -l if it hangs), then detach again")
            {
                ExitCode = 11,
                Effect = "its worker is gone, so the device answers errors",
            };
        }

        KeptSnapshots.CleanUpAfterDead(directory, volume.Origin, volume.Length);
        FuseDevice.TryUnmount(directory.Mount, detach: true);
        FuseDevice.TryUnmount(directory.Snapshots, detach: true);
        DeadTracking.Seal(directory, volume.Origin, volume.Length);
        Directory.Delete(directory.Folder, recursive: true);
    }

    private static QuenchException DidNotStart(FilterDirectory directory) =>
        new("SNAP-134", $"the worker of volume {directory.Name} did not start", $"see {directory.Log}") { Effect = "nothing was attached" };

    private static QuenchException DidNotEnd(FilterDirectory directory) =>
        new("SNAP-142", $"the device of volume {directory.Name} is gone, but its worker did not end in order", $"see {directory.Log} and the kernel's log (`dmesg`), and check the file system on the origin before you use it")
        {
            Effect = "what was written last may not be on the origin's medium yet",
        };

    private static QuenchException DidNotAnswer(FilterDirectory directory) =>
        new("SNAP-131", $"the worker of volume {directory.Name} does not answer", $"see {directory.Log}") { Effect = "nothing was changed" };
}
