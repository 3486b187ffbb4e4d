using Quench.Interop.Linux;

namespace Quench.Interop.Bpf;

/// <summary>The file system whose files are BPF objects. What has a name there stays in the kernel without a process; unmounting it, or a reboot, lets go of everything.</summary>
public static class BpfFileSystem
{
    private const nuint MS_NOSUID = 2;
    private const nuint MS_NODEV = 4;

    /// <summary>Mounts one on a directory, unless one is there. Names in it have no dots.</summary>
    /// <exception cref="LinuxErrorException">EPERM: not root; ENODEV: a kernel without it.</exception>
    public static void EnsureMounted(string directory)
    {
        if (!Mounts.Read().Any(mount => mount.MountPoint == directory && mount.Type == "bpf")
            && LibC.mount("bpf", directory, "bpf", MS_NOSUID | MS_NODEV, "mode=0700") != 0)
        {
            throw LinuxErrorException.FromLastError("mount the BPF file system", directory);
        }
    }
}
