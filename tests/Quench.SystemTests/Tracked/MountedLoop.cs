using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Block;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Tracked;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>A file system on a loop device, mounted, and nothing of Quench below it: what a machine is as it stands. Taken down at the end, thawed first if need be.</summary>
internal sealed class MountedLoop : IAsyncDisposable
{
    private const string RunFolder = "QUENCH_RUN_DIR";

    private readonly TempFolder _folder = new("mounted");
    private readonly string? _runFolderBefore = Environment.GetEnvironmentVariable(RunFolder);
    private string? _device;

    private MountedLoop(VolumeKind kind)
    {
        Kind = kind;
        MountPoint = _folder.MakeFolder("mnt");
        Scratch = _folder.MakeFolder("scratch");
        Run = _folder.MakeFolder("run");
        Environment.SetEnvironmentVariable(RunFolder, Run); // what stays in the kernel after a backup stays under a name in here
    }

    internal VolumeKind Kind { get; }

    internal string Device => _device!;

    internal string MountPoint { get; }

    /// <summary>A folder beside the volume, on another file system than the volume's.</summary>
    internal string Scratch { get; }

    /// <summary>Where Quench has what lives until the next start of the machine; of this volume alone.</summary>
    internal string Run { get; }

    /// <summary>The file behind the device.</summary>
    internal string Disk => _folder["disk.img"];

    /// <summary>Makes it.</summary>
    /// <param name="kind">Which file system.</param>
    /// <param name="length">Bytes of the device.</param>
    /// <param name="mountOptions">For mount.</param>
    /// <param name="fileSystemLength">Bytes of the file system, of ext4 only; all of the device when not given.</param>
    internal static async Task<MountedLoop> CreateAsync(VolumeKind kind, long length, string mountOptions = "defaults", long? fileSystemLength = null)
    {
        DemandMachine(kind);
        QuenchCli.LendToThisProcess();
        MountedLoop loop = new(kind);
        try
        {
            using (SafeFileHandle made = NativeFile.Open(loop.Disk, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive))
            {
                NativeFile.SetLength(made, length);
            }

            await MakeFileSystemAsync(kind, loop.Disk, fileSystemLength ?? length);
            loop._device = (await Tool.RunAsync("losetup", "--find", "--show", "--direct-io=on", loop.Disk)).Trim();
            await Tool.RunAsync("mount", "-o", mountOptions, loop.Device, loop.MountPoint);
            return loop;
        }
        catch
        {
            await loop.DisposeAsync();
            throw;
        }
    }

    /// <summary>The kinds that this machine can make.</summary>
    internal static VolumeKind[] Kinds() =>
    [
        VolumeKind.Ext4,
        .. Requires.HasTool("mkfs.xfs") ? [VolumeKind.Xfs] : (VolumeKind[])[],
        .. Requires.HasTool("mkfs.btrfs") ? [VolumeKind.Btrfs] : (VolumeKind[])[],
    ];

    /// <summary>Unmounts it; the kernel forgets it, too, so that an image of it may be mounted under the same identifier.</summary>
    internal async Task UnmountAsync()
    {
        await Tool.RunAsync("umount", MountPoint);
        if (Kind == VolumeKind.Btrfs)
        {
            await Tool.TryRunAsync("btrfs", "device", "scan", "--forget", Device); // some kernels have forgotten it by themselves
        }
    }

    /// <summary>The volume as the provider finds it.</summary>
    internal MountedVolume Find() => TrackedProvider.Find(Device) ?? throw new InvalidOperationException($"{Device} is not found as a mounted volume");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Mounts.Read().Any(mount => mount.MountPoint == MountPoint))
        {
            using (SafeFileHandle root = NativeFile.Open(MountPoint, OpenMode.ReadOnly | OpenMode.Directory))
            {
                FileSystemFreeze.TryThaw(root);
            }

            if ((await Tool.TryRunAsync("umount", MountPoint)).ExitCode != 0)
            {
                await Tool.RunAsync("umount", "-l", MountPoint);
            }
        }

        if (_device is not null)
        {
            await Tool.RunAsync("losetup", "-d", _device);
        }

        string pinned = Path.Combine(Run, "bpf");
        if (Mounts.Read().Any(mount => mount.MountPoint == pinned))
        {
            await Tool.RunAsync("umount", pinned);
        }

        Environment.SetEnvironmentVariable(RunFolder, _runFolderBefore);
        _folder.Dispose();
    }

    private static Task<string> MakeFileSystemAsync(VolumeKind kind, string file, long length) => kind switch
    {
        VolumeKind.Xfs => Tool.RunAsync("mkfs.xfs", "-q", "-f", file),
        VolumeKind.Btrfs => Tool.RunAsync("mkfs.btrfs", "-q", "-f", file),
        _ => Tool.RunAsync("mkfs.ext4", "-q", "-F", file, string.Create(CultureInfo.InvariantCulture, $"{length >> 10}k")),
    };

    private static void DemandMachine(VolumeKind kind)
    {
        Requires.Root();
        Requires.Loop();
        Requires.Tool("mkfs.ext4", "e2fsck", "mount", "umount", "losetup");
        Assert.SkipWhen(kind == VolumeKind.Xfs && !Requires.HasTool("mkfs.xfs"), "needs mkfs.xfs");
        Assert.SkipWhen(kind == VolumeKind.Btrfs && !Requires.HasTool("mkfs.btrfs"), "needs mkfs.btrfs");
        Assert.SkipWhen(KernelTypes.ReadRunning() is null, "needs a kernel with BTF");
    }
}
