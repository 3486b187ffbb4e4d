using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Block;

/// <summary>Freeze and thaw of a mounted file system. (linux/fs.h, FIFREEZE and FITHAW; needs CAP_SYS_ADMIN)</summary>
public static class FileSystemFreeze
{
    private const nuint FIFREEZE = 0xC0045877;
    private const nuint FITHAW = 0xC0045878;

    /// <summary>
    /// Writes out the file system and holds its writers until somebody thaws it. The freeze outlives the caller: arm a guard first.
    /// </summary>
    /// <param name="anyFileOnIt">A handle to any file or directory of the file system.</param>
    public static void Freeze(SafeFileHandle anyFileOnIt)
    {
        if (LibC.ioctl(anyFileOnIt, FIFREEZE, 0) != 0)
        {
            throw LinuxErrorException.FromLastError("freeze the file system");
        }
    }

    /// <summary>Lets the writers go on.</summary>
    /// <returns>False when the file system was not frozen: somebody else thawed it, and the freeze can't be relied on.</returns>
    public static bool TryThaw(SafeFileHandle anyFileOnIt)
    {
        if (LibC.ioctl(anyFileOnIt, FITHAW, 0) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.EINVAL ? false : throw LinuxErrorException.FromLastError("thaw the file system");
    }
}
