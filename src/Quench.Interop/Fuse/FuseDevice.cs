using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Fuse;

/// <summary>/dev/fuse: where the kernel puts requests and takes replies. (fuse(4))</summary>
public static unsafe class FuseDevice
{
    private const nuint MS_NOSUID = 2;
    private const nuint MS_NODEV = 4;
    private const int MNT_FORCE = 1;
    private const int MNT_DETACH = 2;

    /// <summary>Opens a new connection; it is not mounted yet.</summary>
    public static SafeFileHandle Open() => NativeFile.Open("/dev/fuse", OpenMode.ReadWrite);

    /// <summary>Mounts the connection on a directory.</summary>
    /// <param name="connection">An open, unmounted connection.</param>
    /// <param name="directory">An existing, empty directory.</param>
    /// <param name="name">What mount(8) shows as the source.</param>
    /// <param name="maxRead">The largest read request, in bytes.</param>
    public static void Mount(SafeFileHandle connection, string directory, string name, int maxRead)
    {
        string options = string.Create(
            CultureInfo.InvariantCulture,
            $"fd={connection.DangerousGetHandle()},rootmode=40000,user_id=0,group_id=0,allow_other,max_read={maxRead}");
        if (LibC.mount(name, directory, "fuse", MS_NOSUID | MS_NODEV, options) != 0)
        {
            throw LinuxErrorException.FromLastError("mount", directory);
        }
    }

    /// <summary>Unmounts a directory.</summary>
    /// <param name="directory">Where it is mounted.</param>
    /// <param name="detach">Take it out of sight at once even if somebody still holds files on it.</param>
    /// <returns>False when it is busy or nothing is mounted there.</returns>
    public static bool TryUnmount(string directory, bool detach)
    {
        if (LibC.umount2(directory, detach ? MNT_DETACH : 0) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() is (int)Errno.EBUSY or (int)Errno.EINVAL or (int)Errno.ENOENT
            ? false
            : throw LinuxErrorException.FromLastError("unmount", directory);
    }

    /// <summary>
    /// Hangs up on a directory's connection and takes the directory out of sight: whatever was asked and not answered fails, although a process that
    /// can't end may still have the connection open. (umount2(2), MNT_FORCE)
    /// </summary>
    /// <returns>False when nothing is mounted there.</returns>
    public static bool TryHangUp(string directory)
    {
        if (LibC.umount2(directory, MNT_FORCE | MNT_DETACH) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() is (int)Errno.EINVAL or (int)Errno.ENOENT
            ? false
            : throw LinuxErrorException.FromLastError("unmount", directory);
    }

    /// <summary>Takes one request from the kernel; waits for it.</summary>
    /// <param name="connection">The mounted connection.</param>
    /// <param name="into">Room for a whole request: the header, the arguments and the largest payload.</param>
    /// <returns>The request's bytes, or the negative error number: -ENODEV when unmounted, -ENOENT, -EINTR and -EAGAIN to try again.</returns>
    public static int Receive(SafeFileHandle connection, Span<byte> into)
    {
        fixed (byte* buffer = into)
        {
            nint count = LibC.read(connection, buffer, (nuint)into.Length);
            return count >= 0 ? (int)count : -Marshal.GetLastPInvokeError();
        }
    }

    /// <summary>Gives one reply, whole, to the kernel.</summary>
    /// <returns>Zero, or the negative error number: -ENOENT when the request was interrupted and is gone.</returns>
    public static int Send(SafeFileHandle connection, ReadOnlySpan<byte> reply)
    {
        fixed (byte* buffer = reply)
        {
            nint count = LibC.write(connection, buffer, (nuint)reply.Length);
            return count >= 0 ? 0 : -Marshal.GetLastPInvokeError();
        }
    }
}
