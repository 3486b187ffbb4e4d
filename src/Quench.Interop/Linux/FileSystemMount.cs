using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>File systems on block devices, mounted for reading and unmounted again. (mount(2), umount2(2))</summary>
public static class FileSystemMount
{
    private const nuint MS_RDONLY = 1;
    private const nuint MS_NOSUID = 2;
    private const nuint MS_NODEV = 4;

    /// <summary>Mounts a device for reading; no program on it gains rights by it.</summary>
    /// <param name="device">A block device.</param>
    /// <param name="folder">An existing folder.</param>
    /// <param name="type">The file system's name, as the kernel calls it.</param>
    /// <param name="options">What the file system itself is told, with commas; empty for nothing.</param>
    /// <exception cref="LinuxErrorException">The kernel refused.</exception>
    public static void MountReadOnly(string device, string folder, string type, string options)
    {
        if (LibC.mount(device, folder, type, MS_RDONLY | MS_NOSUID | MS_NODEV, options) != 0)
        {
            throw LinuxErrorException.FromLastError("mount", $"{device} at {folder}");
        }
    }

    /// <summary>Unmounts what is mounted at a folder.</summary>
    /// <returns>False when it is in use, or nothing is mounted there.</returns>
    public static bool TryUnmount(string folder) => LibC.umount2(folder, 0) == 0 || (Marshal.GetLastPInvokeError() is (int)Errno.EBUSY or (int)Errno.EINVAL or (int)Errno.ENOENT
        ? false
        : throw LinuxErrorException.FromLastError("unmount", folder));
}
