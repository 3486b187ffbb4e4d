using Quench.Interop.Linux;

namespace Quench.Blocks.Devices;

/// <summary>Why a disk could not be opened or made, in words for a person. The codes are listed in docs/errors.md.</summary>
internal static class DiskErrors
{
    internal static QuenchException NotThere(string path) =>
        new("BLOCK-101", $"there is nothing at {path}", "check the path; `lsblk` lists the block devices of this machine");

    internal static QuenchException NotADisk(string path) =>
        new("BLOCK-102", $"{path} is neither a block device nor a regular file", "name a device such as /dev/sda2, or an image file");

    internal static QuenchException NotABlockDevice(string path) =>
        new("BLOCK-102", $"{path} is not a block device", "name a device such as /dev/sda2");

    internal static QuenchException NotAFile(string path) =>
        new("BLOCK-102", $"{path} is not a regular file", "name an image file");

    internal static QuenchException InUse(string path, Exception? cause = null) =>
        new("BLOCK-103", $"{path} is in use: it is mounted, attached, or open in another program", "unmount or detach it first; `lsblk` and `fuser -v` show who holds it", cause)
        {
            ExitCode = 11,
            CanRetry = true,
        };

    internal static QuenchException NotPermitted(string path, LinuxErrorException cause) =>
        new("BLOCK-104", $"this user may not open {path}", "run as root, or as a user who may read and write it", cause);

    internal static QuenchException CannotOpen(string path, LinuxErrorException cause) =>
        new("BLOCK-105", $"{path} could not be opened: {cause.Message}", "see the kernel's log (`dmesg`) for what the device said", cause);

    internal static QuenchException AlreadyThere(string path, LinuxErrorException cause) =>
        new("BLOCK-106", $"{path} exists already", "choose another name, or remove it first", cause);

    internal static QuenchException NoRoom(string path, long length, LinuxErrorException cause) =>
        new("BLOCK-107", $"{path} can't be made {ByteSize.Format(length)} long: {cause.Message}", "choose a file system with more room or larger files", cause);

    /// <summary>The failure to open a path as one of ours.</summary>
    internal static QuenchException From(string path, LinuxErrorException cause) => cause.Errno switch
    {
        Errno.ENOENT or Errno.ENOTDIR => NotThere(path),
        Errno.EBUSY => InUse(path, cause),
        Errno.EACCES or Errno.EPERM => NotPermitted(path, cause),
        Errno.EEXIST => AlreadyThere(path, cause),
        Errno.EISDIR => NotADisk(path),
        _ => CannotOpen(path, cause),
    };
}
