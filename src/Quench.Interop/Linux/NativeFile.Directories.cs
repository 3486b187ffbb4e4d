using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>A name in a directory.</summary>
/// <param name="Name">The name; bytes that are no UTF-8 are replaced.</param>
/// <param name="Kind">What it is; a symbolic link is <see cref="FileKind.Other"/>.</param>
public readonly record struct DirectoryEntry(string Name, FileKind Kind);

/// <content>Names: made, listed, removed.</content>
public static unsafe partial class NativeFile
{
    private const int DirectoryBuffer = 32 * 1024;
    private const int DT_UNKNOWN = 0;
    private const int DT_DIR = 4;
    private const int DT_BLK = 6;
    private const int DT_REG = 8;

    /// <summary>Makes a directory; its parent must exist.</summary>
    /// <param name="path">Which.</param>
    /// <param name="mode">Permission bits, before the umask.</param>
    /// <returns>False when the name is taken, by whatever.</returns>
    public static bool TryMakeDirectory(string path, int mode)
    {
        int result = FaultPoint.Answers(IoCall.MakeDirectory, path, null, out int answer) ? answer : LibC.mkdir(path, (uint)mode);
        return result == 0
            || (Marshal.GetLastPInvokeError() == (int)Errno.EEXIST ? false : throw LinuxErrorException.FromLastError("make directory", path));
    }

    /// <summary>Removes a file's name.</summary>
    /// <returns>False when there is none.</returns>
    public static bool TryDelete(string path)
    {
        int result = FaultPoint.Answers(IoCall.Delete, path, null, out int answer) ? answer : LibC.unlink(path);
        return result == 0
            || (Marshal.GetLastPInvokeError() is (int)Errno.ENOENT or (int)Errno.ENOTDIR ? false : throw LinuxErrorException.FromLastError("delete", path));
    }

    /// <summary>The names in a directory, in no particular order, without "." and "..".</summary>
    /// <returns>Null when there is no such directory.</returns>
    public static IReadOnlyList<DirectoryEntry>? TryReadDirectory(string path)
    {
        SafeFileHandle directory;
        try
        {
            directory = Open(path, OpenMode.ReadOnly | OpenMode.Directory);
        }
        catch (LinuxErrorException failure) when (failure.Errno is Errno.ENOENT or Errno.ENOTDIR)
        {
            return null;
        }

        using (directory)
        {
            List<DirectoryEntry> entries = [];
            byte[] buffer = new byte[DirectoryBuffer];
            while (ReadNames(directory, path, buffer) is var count and > 0)
            {
                Parse(path, buffer.AsSpan(0, count), entries);
            }

            return entries;
        }
    }

    /// <summary>Bytes of an open file.</summary>
    public static long GetLength(SafeFileHandle file)
    {
        long end = FaultPoint.Answers(IoCall.Length, null, file, out int answer) ? answer : LibC.lseek(file, 0, SEEK_END);
        return end >= 0 ? end : throw LinuxErrorException.FromLastError("get the length");
    }

    private static int ReadNames(SafeFileHandle directory, string path, byte[] buffer)
    {
        fixed (byte* into = buffer)
        {
            nint count;
            do
            {
                count = FaultPoint.Answers(IoCall.ReadDirectory, path, directory, out int answer)
                    ? answer
                    : LibC.getdents64(directory, into, (nuint)buffer.Length);
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);

            return count >= 0 ? (int)count : throw LinuxErrorException.FromLastError("list", path);
        }
    }

    /// <summary>Reads the kernel's records. (getdents64(2), struct linux_dirent64)</summary>
    /// <remarks>
    /// <code>
    ///   0        8          16              18     19
    ///   ├ inode ─┼ next ────┼ record length ┼ type ┼ name, ended by 0, padded
    /// </code>
    /// </remarks>
    private static void Parse(string path, ReadOnlySpan<byte> records, List<DirectoryEntry> entries)
    {
        while (!records.IsEmpty)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(records[16..]);
            ReadOnlySpan<byte> bytes = records[19..length];
            string name = Encoding.UTF8.GetString(bytes[..bytes.IndexOf((byte)0)]);
            if (name is not ("." or ".."))
            {
                entries.Add(new DirectoryEntry(name, KindOf(records[18], Path.Combine(path, name))));
            }

            records = records[length..];
        }
    }

    private static FileKind KindOf(byte type, string path) => type switch
    {
        DT_DIR => FileKind.Directory,
        DT_REG => FileKind.Regular,
        DT_BLK => FileKind.BlockDevice,
        DT_UNKNOWN => TryGetStatus(path, followLinks: false)?.Kind ?? FileKind.Other, // some file systems don't say
        _ => FileKind.Other,
    };
}
