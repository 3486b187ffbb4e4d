using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <content>Who else has a regular file open.</content>
public static unsafe partial class NativeFile
{
    private const int F_SETSIG = 10;
    private const int F_SETLEASE = 1024;
    private const int F_RDLCK = 0;
    private const int F_WRLCK = 1;
    private const int F_UNLCK = 2;
    private const int SIGURG = 23;

    /// <summary>
    /// Whether somebody else has a regular file open now, loop devices included. The kernel grants a lease only where that is not so;
    /// the lease is given back at once. An answer about this instant, not a lock. (fcntl(2), F_SETLEASE)
    /// </summary>
    /// <param name="file">The only handle this process has to the file.</param>
    /// <param name="writable">
    /// Whether the handle can write. Then any other handle counts; with a read-only one only those that can write do.
    /// </param>
    /// <returns>Null when the file system knows no leases or we may not ask.</returns>
    public static bool? IsOpenElsewhere(SafeFileHandle file, bool writable)
    {
        // Whoever opens the file in between is announced by a signal; SIGURG is one that nobody acts on, where SIGIO would end us.
        if (LibC.fcntl(file, F_SETSIG, SIGURG) != 0)
        {
            return null;
        }

        if (LibC.fcntl(file, F_SETLEASE, writable ? F_WRLCK : F_RDLCK) != 0)
        {
            return Marshal.GetLastPInvokeError() == (int)Errno.EAGAIN ? true : null;
        }

        Check(LibC.fcntl(file, F_SETLEASE, F_UNLCK), "give the lease back");
        return false;
    }
}
