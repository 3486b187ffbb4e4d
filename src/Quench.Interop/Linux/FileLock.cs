using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>Whole-file locks that end with the handle, and so with the process, however it ends. (flock(2))</summary>
public static partial class FileLock
{
    private const int LOCK_EX = 2;
    private const int LOCK_NB = 4;

    /// <summary>Takes the exclusive lock if nobody has it.</summary>
    /// <returns>False when somebody else holds it.</returns>
    public static bool TryLock(SafeFileHandle file)
    {
        while (flock(file, LOCK_EX | LOCK_NB) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error == (int)Errno.EAGAIN)
            {
                return false;
            }

            if (error != (int)Errno.EINTR)
            {
                throw LinuxErrorException.FromLastError("flock");
            }
        }

        return true;
    }

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    private static partial int flock(SafeFileHandle fd, int operation);
}
