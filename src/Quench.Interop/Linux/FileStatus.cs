namespace Quench.Interop.Linux;

/// <summary>What kind of thing a path names.</summary>
public enum FileKind
{
    /// <summary>A socket, a pipe, a character device: nothing Quench images.</summary>
    Other,

    /// <summary>A regular file.</summary>
    Regular,

    /// <summary>A directory.</summary>
    Directory,

    /// <summary>A block device.</summary>
    BlockDevice,
}

/// <summary>A device number as the kernel shows it: major and minor.</summary>
/// <param name="Major">The driver's number.</param>
/// <param name="Minor">The instance's number.</param>
public readonly record struct DeviceNumber(uint Major, uint Minor)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Major}:{Minor}";
}

/// <summary>The facts of statx(2) that Quench uses.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Length">Length in bytes; 0 for a block device (ask <c>BlockDevice.GetLength</c>).</param>
/// <param name="AllocatedBytes">Bytes of storage the file takes, holes not counted.</param>
/// <param name="Inode">Its number on its file system.</param>
/// <param name="Device">The device its file system is on.</param>
/// <param name="SpecialDevice">The device that it is, for a block device.</param>
public readonly record struct FileStatus(
    FileKind Kind, long Length, long AllocatedBytes, ulong Inode, DeviceNumber Device, DeviceNumber SpecialDevice)
{
    /// <summary>The user whose it is, by number.</summary>
    public uint Owner { get; init; }

    /// <summary>Who may do what: the lower twelve bits of its mode. (inode(7))</summary>
    public int Permissions { get; init; }

    /// <summary>When its content was last changed, in nanoseconds since 1970; as fine as the kernel's clock for files, a few milliseconds.</summary>
    public long ModifiedNanoseconds { get; init; }

    /// <summary>When its content or its facts were last changed, likewise. Nobody can set it back.</summary>
    public long ChangedNanoseconds { get; init; }
}
