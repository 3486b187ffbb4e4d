using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <content>Which ranges of a file take storage.</content>
public static unsafe partial class NativeFile
{
    private const int FALLOC_FL_KEEP_SIZE = 1;
    private const int FALLOC_FL_PUNCH_HOLE = 2;
    private const int FALLOC_FL_ZERO_RANGE = 0x10;

    /// <summary>Frees a range; it reads as zeros afterwards. The length of the file stays.</summary>
    /// <returns>False when the file system can't punch holes; nothing has changed then.</returns>
    public static bool TryPunchHole(SafeFileHandle file, long offset, long length) =>
        TryFallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);

    /// <summary>Makes a range read as zeros without writing them, keeping its storage where the file system can.</summary>
    /// <returns>False when the file system can't do it; nothing has changed then.</returns>
    public static bool TryZeroRange(SafeFileHandle file, long offset, long length) =>
        TryFallocate(file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);

    /// <summary>Gives a file its storage and its length at once, so that no later write into it runs out of space.</summary>
    /// <returns>False when the file system can't promise storage; nothing has changed then.</returns>
    /// <exception cref="LinuxErrorException">ENOSPC, EFBIG, EDQUOT: there is not so much.</exception>
    public static bool TryAllocate(SafeFileHandle file, long length) => TryFallocate(file, 0, 0, length);

    private static bool TryFallocate(SafeFileHandle file, int mode, long offset, long length)
    {
        while (LibC.fallocate(file, mode, offset, length) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error is (int)Errno.EOPNOTSUPP or (int)Errno.ENOSYS or (int)Errno.ENODEV)
            {
                return false;
            }

            if (error != (int)Errno.EINTR)
            {
                throw new LinuxErrorException((Errno)error, $"fallocate mode {mode}, {length} bytes at {offset}", null);
            }
        }

        return true;
    }
}
