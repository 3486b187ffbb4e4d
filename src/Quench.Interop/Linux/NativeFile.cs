using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>
/// Files by system call. Every failure is a <see cref="LinuxErrorException"/>, fsync's included (the base library hides those on Linux:
/// docs/decisions/0002). Interrupted and short transfers are finished here. All methods may be called from any thread.
/// </summary>
public static unsafe partial class NativeFile
{
    private const int AT_FDCWD = -100;
    private const int AT_SYMLINK_NOFOLLOW = 0x100;
    private const uint RENAME_NOREPLACE = 1;
    private const uint STATX_BASIC_STATS = 0x7FF;
    private const nint SYS_openat2 = 437;
    private const ulong RESOLVE_NO_MAGICLINKS = 2;
    private const ulong RESOLVE_NO_SYMLINKS = 4;
    private const ulong RESOLVE_BENEATH = 8;
    private const int SEEK_END = 2;
    private const int SEEK_DATA = 3;
    private const int SEEK_HOLE = 4;

    /// <summary>Opens a path. The handle is closed on exec and owned by the caller.</summary>
    /// <param name="path">The path, absolute or relative to the working directory.</param>
    /// <param name="flags">How to open it.</param>
    /// <param name="mode">Permission bits of a file that is created here, before the umask.</param>
    public static SafeFileHandle Open(string path, OpenMode flags, int mode = 0x180)
    {
        int fd;
        do
        {
            fd = FaultPoint.Answers(IoCall.Open, path, null, out int answer) ? answer : LibC.open(path, flags.ToNative(), mode);
        }
        while (fd < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);

        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw LinuxErrorException.FromLastError("open", path);
    }

    /// <summary>Opens a file with direct I/O; null where its file system has none. (open(2), EINVAL)</summary>
    /// <param name="path">The path.</param>
    /// <param name="flags">How; not exclusively, because a refusal may have made the file already.</param>
    public static SafeFileHandle? TryOpenDirect(string path, OpenMode flags)
    {
        try
        {
            return Open(path, flags | OpenMode.Direct);
        }
        catch (LinuxErrorException failure) when (failure.Errno == Errno.EINVAL)
        {
            return null;
        }
    }

    /// <summary>Opens a path that must lie below a directory: no "..", no symbolic link and no magic link may lead out. (openat2(2))</summary>
    /// <param name="directory">The directory, opened by the caller, who keeps it.</param>
    /// <param name="relativePath">A path relative to it.</param>
    /// <param name="flags">How to open it.</param>
    /// <param name="mode">Permission bits of a file that is created here.</param>
    public static SafeFileHandle OpenBeneath(SafeFileHandle directory, string relativePath, OpenMode flags, int mode = 0x180)
    {
        LibC.OpenHow how = new()
        {
            Flags = (ulong)flags.ToNative(),
            Mode = flags.HasFlag(OpenMode.Create) ? (ulong)mode : 0,
            Resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        byte[] path = System.Text.Encoding.UTF8.GetBytes(relativePath + "\0");
        bool held = false;
        try
        {
            directory.DangerousAddRef(ref held);
            fixed (byte* name = path)
            {
                nint fd;
                do
                {
                    fd = LibC.syscall(SYS_openat2, directory.DangerousGetHandle(), name, &how, (nuint)sizeof(LibC.OpenHow));
                }
                while (fd < 0 && Marshal.GetLastPInvokeError() is (int)Errno.EINTR or (int)Errno.EAGAIN);

                return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw LinuxErrorException.FromLastError("open", relativePath);
            }
        }
        finally
        {
            if (held)
            {
                directory.DangerousRelease();
            }
        }
    }

    /// <summary>Reads at an offset until the buffer is full or the file ends.</summary>
    /// <returns>Bytes read; fewer than asked only at the end of the file.</returns>
    public static int Read(SafeFileHandle file, Span<byte> into, long offset)
    {
        int done = 0;
        fixed (byte* buffer = into)
        {
            while (done < into.Length)
            {
                nint count = FaultPoint.Answers(IoCall.Read, null, file, out int answer)
                    ? answer
                    : LibC.pread(file, buffer + done, (nuint)FaultPoint.Shorten(IoCall.Read, Shorten(into.Length - done)), offset + done);
                if (count > 0)
                {
                    done += (int)count;
                }
                else if (count == 0)
                {
                    break;
                }
                else if (Marshal.GetLastPInvokeError() != (int)Errno.EINTR)
                {
                    throw LinuxErrorException.FromLastError($"read {into.Length} bytes at {offset}");
                }
            }
        }

        return done;
    }

    /// <summary>Reads exactly the buffer's length at an offset.</summary>
    /// <exception cref="EndOfStreamException">The file ends before the buffer is full.</exception>
    public static void ReadExactly(SafeFileHandle file, Span<byte> into, long offset)
    {
        int count = Read(file, into, offset);
        if (count != into.Length)
        {
            throw new EndOfStreamException($"read {into.Length} bytes at {offset}: the file ends after {count} of them");
        }
    }

    /// <summary>Writes all of the source at an offset.</summary>
    public static void Write(SafeFileHandle file, ReadOnlySpan<byte> source, long offset)
    {
        int done = 0;
        fixed (byte* buffer = source)
        {
            while (done < source.Length)
            {
                nint count = FaultPoint.Answers(IoCall.Write, null, file, out int answer)
                    ? answer
                    : LibC.pwrite(file, buffer + done, (nuint)FaultPoint.Shorten(IoCall.Write, Shorten(source.Length - done)), offset + done);
                if (count > 0)
                {
                    done += (int)count;
                }
                else if (count == 0)
                {
                    // A device that takes nothing and gives no reason has no room: that is what write(2) returning 0 means.
                    throw new LinuxErrorException(Errno.ENOSPC, $"write {source.Length} bytes at {offset}", null);
                }
                else if (Marshal.GetLastPInvokeError() != (int)Errno.EINTR)
                {
                    throw LinuxErrorException.FromLastError($"write {source.Length} bytes at {offset}");
                }
            }
        }
    }

    /// <summary>Reads what a pipe or a socket has now; waits for the first byte.</summary>
    /// <returns>Bytes read; 0 when the other side is gone.</returns>
    public static int ReadAvailable(SafeFileHandle stream, Span<byte> into)
    {
        fixed (byte* buffer = into)
        {
            while (true)
            {
                nint count = LibC.read(stream, buffer, (nuint)into.Length);
                if (count >= 0)
                {
                    return (int)count;
                }

                if (Marshal.GetLastPInvokeError() != (int)Errno.EINTR)
                {
                    throw LinuxErrorException.FromLastError("read");
                }
            }
        }
    }

    /// <summary>Makes content and metadata durable. After a failure the file's state is unknown: abandon it, never retry. (fsync(2))</summary>
    public static void Sync(SafeFileHandle file) =>
        Check(FaultPoint.Answers(IoCall.Sync, null, file, out int answer) ? answer : LibC.fsync(file), "fsync");

    /// <summary>Makes content, and the metadata needed to read it, durable. (fdatasync(2))</summary>
    public static void SyncData(SafeFileHandle file) => Check(LibC.fdatasync(file), "fdatasync");

    /// <summary>Writes out everything the file's file system holds. (syncfs(2))</summary>
    public static void SyncFileSystem(SafeFileHandle file) => Check(LibC.syncfs(file), "syncfs");

    /// <summary>Makes the names in a directory durable: what was created, renamed or removed there.</summary>
    public static void SyncDirectory(string path)
    {
        using SafeFileHandle directory = Open(path, OpenMode.ReadOnly | OpenMode.Directory);
        int result = FaultPoint.Answers(IoCall.SyncDirectory, path, directory, out int answer) ? answer : LibC.fsync(directory);
        if (result != 0)
        {
            throw LinuxErrorException.FromLastError("fsync directory", path);
        }
    }

    /// <summary>Sets the file's length; what is added reads as zeros.</summary>
    public static void SetLength(SafeFileHandle file, long length) => Check(LibC.ftruncate(file, length), $"set length {length}");

    /// <summary>Renames within one file system, in one step, never over something that exists.</summary>
    /// <returns>False when the target name is taken; nothing has changed then.</returns>
    public static bool TryRenameNoReplace(string from, string to)
    {
        int result = FaultPoint.Answers(IoCall.Rename, from, null, out int answer)
            ? answer
            : LibC.renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
        if (result == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.EEXIST ? false : throw LinuxErrorException.FromLastError($"rename {from} to", to);
    }

    /// <summary>The facts of a path, links followed; null when nothing is there.</summary>
    public static FileStatus? TryGetStatus(string path, bool followLinks = true)
    {
        LibC.Statx status = default;
        int result = FaultPoint.Answers(IoCall.Status, path, null, out int answer)
            ? answer
            : LibC.statx(AT_FDCWD, path, followLinks ? 0 : AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status);
        if (result != 0)
        {
            return Marshal.GetLastPInvokeError() is (int)Errno.ENOENT or (int)Errno.ENOTDIR
                ? null
                : throw LinuxErrorException.FromLastError("stat", path);
        }

        FileKind kind = (status.Mode & 0xF000) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Directory,
            0x6000 => FileKind.BlockDevice,
            _ => FileKind.Other,
        };
        return new FileStatus(
            kind, (long)status.Size, (long)status.Blocks * 512, status.Inode,
            new DeviceNumber(status.DevMajor, status.DevMinor), new DeviceNumber(status.RdevMajor, status.RdevMinor))
        {
            Owner = status.Owner,
            Permissions = status.Mode & 0xFFF,
            ModifiedNanoseconds = Nanoseconds(status.ModifiedSeconds, status.ModifiedNanoseconds),
            ChangedNanoseconds = Nanoseconds(status.ChangedSeconds, status.ChangedNanoseconds),
        };
    }

    /// <summary>The next offset at or after <paramref name="offset"/> that holds data; null when only holes follow. (SEEK_DATA)</summary>
    public static long? SeekData(SafeFileHandle file, long offset) => Seek(file, offset, SEEK_DATA);

    /// <summary>The next offset at or after <paramref name="offset"/> where a hole begins; the end of the file counts as one. (SEEK_HOLE)</summary>
    public static long? SeekHole(SafeFileHandle file, long offset) => Seek(file, offset, SEEK_HOLE);

    /// <summary>A moment as one number. A file's times may be set to anything: beyond the year 2262 they wrap round, and still compare as equal or not.</summary>
    private static long Nanoseconds(long seconds, uint nanoseconds) => unchecked((seconds * 1_000_000_000) + nanoseconds);

    private static long? Seek(SafeFileHandle file, long offset, int whence)
    {
        long found = LibC.lseek(file, offset, whence);
        if (found >= 0)
        {
            return found;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.ENXIO ? null : throw LinuxErrorException.FromLastError($"seek from {offset}");
    }

    private static void Check(int result, string operation)
    {
        if (result != 0)
        {
            throw LinuxErrorException.FromLastError(operation);
        }
    }

    /// <summary>In debug builds large transfers are halved, so that the loops above are exercised all day long.</summary>
    private static int Shorten(int length)
    {
#if DEBUG
        return length >= 8192 && length / 2 % 4096 == 0 ? length / 2 : length;
#else
        return length;
#endif
    }
}
