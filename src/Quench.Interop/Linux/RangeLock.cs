using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>
/// Locks on ranges of a file, as database engines take them on their own files. They belong to the open file: other processes' record locks and they exclude each other, and the kernel
/// drops them when the handle is closed or its process dies, whichever comes first. (fcntl(2), "Open file description locks")
/// </summary>
public static unsafe class RangeLock
{
    private const int F_OFD_SETLK = 37;
    private const short F_RDLCK = 0;
    private const short F_WRLCK = 1;
    private const short F_UNLCK = 2;

    /// <summary>Takes a lock if nobody has one that excludes it.</summary>
    /// <param name="file">A handle that may write, for an exclusive lock; one that may read, for a shared one.</param>
    /// <param name="offset">The range's first byte; it need not exist.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <param name="exclusive">Nobody else may have any lock on it; otherwise nobody else may have an exclusive one.</param>
    public static bool TryTake(SafeFileHandle file, long offset, long length, bool exclusive)
    {
        if (Set(file, exclusive ? F_WRLCK : F_RDLCK, offset, length))
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() is (int)Errno.EAGAIN or (int)Errno.EACCES ? false : throw LinuxErrorException.FromLastError("lock a range");
    }

    /// <summary>Gives a range's locks up.</summary>
    public static void Release(SafeFileHandle file, long offset, long length) => _ = Set(file, F_UNLCK, offset, length); // can only fail for a handle that is none

    private static bool Set(SafeFileHandle file, short kind, long offset, long length)
    {
        Flock range = new() { Kind = kind, Start = offset, Length = length };
        return LibC.fcntl(file, F_OFD_SETLK, (nint)(&range)) == 0;
    }

    /// <summary>struct flock; counted from the file's beginning, and its process id is 0 as these locks demand. (fcntl.h)</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    private struct Flock
    {
        [FieldOffset(0)] internal short Kind;
        [FieldOffset(2)] internal short Whence;
        [FieldOffset(8)] internal long Start;
        [FieldOffset(16)] internal long Length;
        [FieldOffset(24)] internal int Process;
    }
}
