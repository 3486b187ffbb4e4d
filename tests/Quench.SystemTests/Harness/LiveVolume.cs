using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;

namespace Quench.SystemTests.Harness;

/// <summary>What is on a volume.</summary>
internal enum VolumeKind
{
    /// <summary>No file system: the test writes the device itself.</summary>
    Raw,

    /// <summary>ext4.</summary>
    Ext4,

    /// <summary>XFS.</summary>
    Xfs,

    /// <summary>Btrfs on one device.</summary>
    Btrfs,
}

/// <summary>
/// A volume under the filter, with a file system that is mounted: a sparse file in a folder of its own, attached under a name that nobody else
/// has. Disposing takes it all down again, politely first and by force then, whatever state the test left it in.
/// </summary>
internal sealed class LiveVolume : IAsyncDisposable
{
    private static int s_count;

    private readonly TempFolder _folder = new("volume");
    private readonly VolumeKind _kind;
    private AttachedVolume? _attached;

    private LiveVolume(VolumeKind kind)
    {
        _kind = kind;
        Name = string.Create(CultureInfo.InvariantCulture, $"{Leftovers.NamePrefix}{Environment.ProcessId}-{Interlocked.Increment(ref s_count)}");
        MountPoint = _folder.MakeFolder("mnt");
        Scratch = _folder.MakeFolder("scratch");
    }

    internal string Name { get; }

    internal string MountPoint { get; }

    /// <summary>A folder beside the volume, on another file system than the volume's.</summary>
    internal string Scratch { get; }

    internal string Origin => _folder["origin.img"];

    internal string Device => _attached!.Device;

    /// <summary>The volume as the provider sees it now.</summary>
    internal AttachedVolume Attached => FilterVolumes.Find(Name)!;

    /// <summary>Makes the file and the file system, attaches and mounts it.</summary>
    internal static async Task<LiveVolume> CreateAsync(VolumeKind kind, long length, IEnumerable<string>? makeOptions = null, string mountOptions = "defaults")
    {
        QuenchCli.LendToThisProcess();
        await Leftovers.ClearAsync();
        LiveVolume volume = new(kind);
        try
        {
            await volume.MakeAsync(length, makeOptions ?? []);
            volume._attached = await FilterAttachment.AttachAsync(volume.Origin, volume.Name, new AttachOptions(), CancellationToken.None);
            await volume.MountAsync(mountOptions);
            return volume;
        }
        catch
        {
            await volume.DisposeAsync();
            throw;
        }
    }

    internal async Task MountAsync(string options = "defaults")
    {
        if (_kind != VolumeKind.Raw)
        {
            await Tool.RunAsync("mount", "-o", options, Device, MountPoint);
        }
    }

    internal async Task UnmountAsync()
    {
        if (_kind != VolumeKind.Raw)
        {
            await Tool.RunAsync("umount", MountPoint);
        }
    }

    /// <summary>Unmounts and detaches; the origin is a plain file then.</summary>
    internal async Task DetachCleanlyAsync()
    {
        await UnmountAsync();
        await FilterAttachment.DetachAsync(Name, CancellationToken.None);
    }

    /// <summary>Attaches again what was detached, and mounts it.</summary>
    internal async Task AttachAgainAsync(AttachOptions? options = null)
    {
        _attached = await FilterAttachment.AttachAsync(Origin, Name, options ?? new AttachOptions(), CancellationToken.None);
        await MountAsync();
    }

    /// <summary>The process that holds the volume.</summary>
    internal int HolderId => Holders.Of(Name);

    /// <summary>Kills the holder and its workers, as nobody can prevent: the device answers errors from then on.</summary>
    internal Task KillAllAsync() => Holders.KillWithWorkersAsync(HolderId);

    /// <summary>Takes down what a dead worker left, as its user must.</summary>
    internal async Task DetachDeadAsync()
    {
        await LetGoOfMountAsync();
        await Wait.UntilAsync(() => !IsHeld(Device), TimeSpan.FromSeconds(30), $"{Device} is let go of");
        await FilterAttachment.DetachAsync(Name, CancellationToken.None);
    }

    private static bool IsHeld(string device)
    {
        try
        {
            NativeFile.Open(device, OpenMode.ReadOnly | OpenMode.Exclusive).Dispose();
            return false;
        }
        catch (LinuxErrorException failure) when (failure.Errno == Errno.EBUSY)
        {
            return true;
        }
    }

    /// <summary>Takes a snapshot as a requestor inside this process.</summary>
    internal Task<ISnapshot> SnapshotAsync(SnapshotOptions options) =>
        FilterProvider.TakeAsync(Attached, options, TimeProvider.System, CancellationToken.None);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        ThawIfFrozen();
        await LetGoOfMountAsync();
        if (_attached is not null)
        {
            await DetachAsync();
        }

        TrackingState.Clear(Name);
        _folder.Dispose();
    }

    private async Task MakeAsync(long length, IEnumerable<string> makeOptions)
    {
        using (SafeFileHandle file = NativeFile.Open(Origin, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive))
        {
            NativeFile.SetLength(file, length);
        }

        if (_kind == VolumeKind.Ext4)
        {
            await Tool.RunAsync("mkfs.ext4", ["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", .. makeOptions, Origin]);
        }
        else if (_kind == VolumeKind.Xfs)
        {
            await Tool.RunAsync("mkfs.xfs", ["-q", "-f", .. makeOptions, Origin]);
        }
        else if (_kind == VolumeKind.Btrfs)
        {
            await Tool.RunAsync("mkfs.btrfs", ["-q", "-f", .. makeOptions, Origin]);
        }
    }

    private void ThawIfFrozen()
    {
        if (IsMounted())
        {
            using SafeFileHandle root = NativeFile.Open(MountPoint, OpenMode.ReadOnly | OpenMode.Directory);
            FileSystemFreeze.TryThaw(root);
        }
    }

    private async Task LetGoOfMountAsync()
    {
        if (IsMounted() && (await Tool.TryRunAsync("umount", MountPoint)).ExitCode != 0)
        {
            await Tool.RunAsync("umount", "-l", MountPoint);
        }
    }

    private bool IsMounted() => Mounts.Read().Any(mount => mount.MountPoint == MountPoint);

    private async Task DetachAsync()
    {
        if (FilterVolumes.Find(Name) is null)
        {
            return; // the test has detached it
        }

        try
        {
            await FilterAttachment.DetachAsync(Name, CancellationToken.None);
        }
        catch (QuenchException)
        {
            await Leftovers.TearDownAsync(Name);
        }
    }
}
