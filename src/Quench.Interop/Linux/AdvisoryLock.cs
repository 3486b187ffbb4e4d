using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>A lock on an open file that the kernel drops by itself when its holder dies. (flock(2))</summary>
public static partial class AdvisoryLock
{
    private const int LOCK_EX = 2;
    private const int LOCK_NB = 4;
    private const int LOCK_UN = 8;

    /// <summary>Takes the lock if nobody has it. It lasts until the handle is closed.</summary>
    public static bool TryTake(SafeFileHandle file)
    {
        int result;
        do
        {
            result = FaultPoint.Answers(IoCall.Lock, null, file, out int answer) ? answer : flock(file, LOCK_EX | LOCK_NB);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);

        if (result == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.EAGAIN ? false : throw LinuxErrorException.FromLastError("lock");
    }

    /// <summary>Gives the lock up for every process that has the open file from the one that took it, without waiting until they close it.</summary>
    public static void Release(SafeFileHandle file) => _ = flock(file, LOCK_UN); // can only fail for a handle that is none

    [LibraryImport(Libraries.LibC, SetLastError = true)]
    private static partial int flock(SafeFileHandle fd, int operation);
}
