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
    private readonly TempFolder _folder = new("mounted");
    private string? _device;

    private MountedLoop()
    {
        MountPoint = _folder.MakeFolder("mnt");
        Scratch = _folder.MakeFolder("scratch");
    }

    internal string Device => _device!;

    internal string MountPoint { get; }

    /// <summary>A folder beside the volume, on another file system than the volume's.</summary>
    internal string Scratch { get; }

    internal static async Task<MountedLoop> CreateAsync(VolumeKind kind, long length, string mountOptions = "defaults")
    {
        DemandMachine(kind);
        QuenchCli.LendToThisProcess();
        MountedLoop loop = new();
        try
        {
            string file = loop._folder["disk.img"];
            using (SafeFileHandle made = NativeFile.Open(file, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive))
            {
                NativeFile.SetLength(made, length);
            }

            await (kind == VolumeKind.Xfs ? Tool.RunAsync("mkfs.xfs", "-q", "-f", file) : Tool.RunAsync("mkfs.ext4", "-q", "-F", file));
            loop._device = (await Tool.RunAsync("losetup", "--find", "--show", "--direct-io=on", file)).Trim();
            await Tool.RunAsync("mount", "-o", mountOptions, loop.Device, loop.MountPoint);
            return loop;
        }
        catch
        {
            await loop.DisposeAsync();
            throw;
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

        _folder.Dispose();
    }

    private static void DemandMachine(VolumeKind kind)
    {
        Requires.Root();
        Requires.Loop();
        Requires.Tool("mkfs.ext4", "e2fsck", "mount", "umount", "losetup");
        Assert.SkipWhen(kind == VolumeKind.Xfs && !Requires.HasTool("mkfs.xfs"), "needs mkfs.xfs");
        Assert.SkipWhen(KernelTypes.ReadRunning() is null, "needs a kernel with BTF");
    }
}
