using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>How a file is opened; the names are open(2)'s.</summary>
[Flags]
public enum OpenMode
{
    /// <summary>O_RDONLY.</summary>
    ReadOnly = 0,

    /// <summary>O_WRONLY.</summary>
    WriteOnly = 1,

    /// <summary>O_RDWR.</summary>
    ReadWrite = 2,

    /// <summary>O_CREAT.</summary>
    Create = 1 << 2,

    /// <summary>O_EXCL: with Create, fail if it exists; on a block device, fail if somebody else holds it (mounted, attached).</summary>
    Exclusive = 1 << 3,

    /// <summary>O_TRUNC.</summary>
    Truncate = 1 << 4,

    /// <summary>O_DIRECT: past the page cache; offsets, lengths and memory must be aligned to the logical block.</summary>
    Direct = 1 << 5,

    /// <summary>O_DIRECTORY.</summary>
    Directory = 1 << 6,

    /// <summary>O_NOFOLLOW: the last component must not be a symbolic link.</summary>
    NoFollow = 1 << 7,

    /// <summary>O_NONBLOCK.</summary>
    NonBlocking = 1 << 8,

    /// <summary>O_PATH: a handle to the place only; no I/O through it.</summary>
    PathOnly = 1 << 9,

    /// <summary>O_APPEND.</summary>
    Append = 1 << 10,
}

/// <summary>Our flags as the running architecture's numbers. (asm/fcntl.h: O_DIRECT, O_DIRECTORY and O_NOFOLLOW differ on arm64.)</summary>
internal static class OpenModeNative
{
    private const int O_CREAT = 0x40;
    private const int O_EXCL = 0x80;
    private const int O_TRUNC = 0x200;
    private const int O_APPEND = 0x400;
    private const int O_NONBLOCK = 0x800;
    private const int O_CLOEXEC = 0x80000;
    private const int O_PATH = 0x200000;

    internal static int ToNative(this OpenMode flags)
    {
        bool arm = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm;
        int native = (int)flags & 3;
        native |= O_CLOEXEC;
        native |= flags.HasFlag(OpenMode.Create) ? O_CREAT : 0;
        native |= flags.HasFlag(OpenMode.Exclusive) ? O_EXCL : 0;
        native |= flags.HasFlag(OpenMode.Truncate) ? O_TRUNC : 0;
        native |= flags.HasFlag(OpenMode.Append) ? O_APPEND : 0;
        native |= flags.HasFlag(OpenMode.NonBlocking) ? O_NONBLOCK : 0;
        native |= flags.HasFlag(OpenMode.PathOnly) ? O_PATH : 0;
        native |= flags.HasFlag(OpenMode.Direct) ? (arm ? 0x10000 : 0x4000) : 0;
        native |= flags.HasFlag(OpenMode.Directory) ? (arm ? 0x4000 : 0x10000) : 0;
        native |= flags.HasFlag(OpenMode.NoFollow) ? (arm ? 0x8000 : 0x20000) : 0;
        return native;
    }
}
