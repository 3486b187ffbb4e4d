using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Loop;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.PowerCut;

/// <summary>Shows disks of this process as loop devices, and mounts what is on them. Disposing takes everything down.</summary>
internal sealed class DiskHost : IDisposable
{
    private const int Threads = 4;
    private const int ForceUnmount = 1; // MNT_FORCE: the kernel hangs up on the FUSE connection, and every request below it fails
    private const int LazyUnmount = 2;  // MNT_DETACH
    private const string NamePrefix = "quench-power-cut:";

    private readonly TempFolder _folder = new("power-cut");
    private readonly FuseSession _session;
    private int _count;

    internal DiskHost()
    {
        ClearOrphans();
        Directory.CreateDirectory(_folder["disks"]);
        Directory.CreateDirectory(_folder["mnt"]);
        string name = NamePrefix + Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        _session = FuseSession.Mount(_folder["disks"], name, Threads, failure => Failure = failure);
    }

    /// <summary>Where a disk is mounted, one at a time.</summary>
    internal string MountPoint => _folder["mnt"];

    /// <summary>What went wrong in serving a disk.</summary>
    internal Exception? Failure { get; private set; }

    /// <summary>Takes down what a test program left that was killed.</summary>
    private static void ClearOrphans()
    {
        foreach (MountEntry orphan in Mounts.Read().Where(mount => mount.Source.StartsWith(NamePrefix, StringComparison.Ordinal)))
        {
            if (!Directory.Exists("/proc/" + orphan.Source[NamePrefix.Length..]))
            {
                string folder = Path.GetDirectoryName(orphan.MountPoint)!;
                _ = LibC.umount2(Path.Combine(folder, "mnt"), LazyUnmount);
                _ = LibC.umount2(orphan.MountPoint, LazyUnmount);
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    /// <summary>Shows a disk as a device.</summary>
    internal AttachedDisk Attach(IFuseFile disk)
    {
        string name = (++_count).ToString(CultureInfo.InvariantCulture);
        string path = _session.Add(name, disk);
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite);
        return new AttachedDisk(this, name, LoopDevice.Attach(file, 512, readOnly: false, "quench power cut"));
    }

    /// <summary>Pulls the plug of all disks: they are gone at once, with whatever was on its way.</summary>
    internal void Unplug() => _ = LibC.umount2(_folder["disks"], ForceUnmount); // it is busy and stays mounted; the connection is cut all the same

    public void Dispose()
    {
        if (Mounts.Read().Any(mount => mount.MountPoint == MountPoint))
        {
            _ = LibC.umount2(MountPoint, 0);
        }

        _session.Dispose();
        _folder.Dispose();
    }

    /// <summary>A disk as a device; disposing unmounts and detaches it.</summary>
    internal sealed class AttachedDisk(DiskHost host, string name, string device) : IAsyncDisposable
    {
        private bool _mounted;

        internal string Device => device;

        /// <summary>Mounts it, which replays the journal.</summary>
        /// <returns>Null, or why it can't be mounted.</returns>
        internal async Task<string?> TryMountAsync(string fileSystem)
        {
            if (fileSystem == "btrfs")
            {
                await Tool.TryRunAsync("btrfs", "device", "scan", "--forget"); // the last disk had the same id
            }

            try
            {
                if (LibC.mount(device, host.MountPoint, fileSystem, 0, "") != 0)
                {
                    throw LinuxErrorException.FromLastError("mount", device);
                }

                _mounted = true;
                return null;
            }
            catch (LinuxErrorException failure)
            {
                return failure.Message;
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (_mounted) // a process that was stuck in it may take a moment to let go
            {
                await Wait.UntilAsync(() => LibC.umount2(host.MountPoint, 0) == 0, TimeSpan.FromSeconds(10), $"{host.MountPoint} is unmounted");
            }

            await Wait.UntilAsync(() => LoopDevice.TryDetach(device), TimeSpan.FromSeconds(10), $"{device} is detached");
            host._session.Remove(name);
        }
    }
}
