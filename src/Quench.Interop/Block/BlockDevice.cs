using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Block;

/// <summary>The ioctls of a block device. (linux/fs.h, "Block device" ioctls)</summary>
public static unsafe class BlockDevice
{
    private const nuint BLKGETSIZE64 = 0x80081272;
    private const nuint BLKSSZGET = 0x1268;
    private const nuint BLKDISCARD = 0x1277;
    private const nuint BLKZEROOUT = 0x127F;
    private const nuint BLKPG = 0x1269;
    private const int BLKPG_ADD_PARTITION = 1;

    /// <summary>Length in bytes.</summary>
    public static long GetLength(SafeFileHandle device)
    {
        ulong length;
        return LibC.ioctl(device, BLKGETSIZE64, &length) == 0 ? (long)length : throw LinuxErrorException.FromLastError("ask the device's size");
    }

    /// <summary>The smallest unit of direct I/O, in bytes: 512 or 4096 nearly always.</summary>
    public static int GetLogicalSectorSize(SafeFileHandle device)
    {
        int size;
        return LibC.ioctl(device, BLKSSZGET, &size) == 0 ? size : throw LinuxErrorException.FromLastError("ask the device's sector size");
    }

    /// <summary>Tells the device that a range is no longer needed; what it reads as is the device's choice.</summary>
    /// <returns>False when the device knows no discard.</returns>
    public static bool TryDiscard(SafeFileHandle device, long offset, long length) => TryRange(device, BLKDISCARD, offset, length, "discard");

    /// <summary>Makes a range read as zeros, by the device's own means where it has any.</summary>
    /// <returns>False when the device can't.</returns>
    public static bool TryZeroOut(SafeFileHandle device, long offset, long length) => TryRange(device, BLKZEROOUT, offset, length, "zero");

    /// <summary>Tells the kernel of a partition of a disk; a device of its own appears for it. (linux/blkpg.h)</summary>
    /// <returns>False when it has a partition of that number, or one that overlaps, already.</returns>
    public static bool TryAddPartition(SafeFileHandle disk, int number, long offset, long length)
    {
        PartitionPlace place = new() { Start = offset, Length = length, Number = number };
        PartitionRequest request = new() { Operation = BLKPG_ADD_PARTITION, DataLength = sizeof(PartitionPlace), Data = (nint)(&place) };
        if (LibC.ioctl(disk, BLKPG, &request) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.EBUSY ? false : throw LinuxErrorException.FromLastError($"add partition {number}");
    }

    /// <summary>Whether the device has means of its own to make a range zero, so that the kernel need not write the zeros out. (sysfs-block)</summary>
    public static bool CanZeroQuickly(string path)
    {
        if (NativeFile.TryGetStatus(path) is not { Kind: FileKind.BlockDevice } status)
        {
            return false;
        }

        string folder = FolderOf(status.SpecialDevice);
        string disk = File.Exists(folder + "/partition") ? Path.GetDirectoryName(folder)! : folder;
        string limit = disk + "/queue/write_zeroes_max_bytes";
        return File.Exists(limit) && File.ReadAllText(limit).Trim() != "0";
    }

    /// <summary>
    /// The device's own folder in sysfs, in which a partition's lies below its disk's. Behind the link: "up from here" is worked out by name, and there it
    /// would lead elsewhere.
    /// </summary>
    /// <exception cref="FileNotFoundException">The kernel knows no such device.</exception>
    public static string FolderOf(DeviceNumber number) =>
        Directory.ResolveLinkTarget($"/sys/dev/block/{number}", returnFinalTarget: true)?.FullName
        ?? throw new FileNotFoundException($"the kernel knows no block device {number}");

    private static bool TryRange(SafeFileHandle device, nuint request, long offset, long length, string verb)
    {
        ulong* range = stackalloc ulong[2] { (ulong)offset, (ulong)length };
        if (LibC.ioctl(device, request, range) == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() is (int)Errno.EOPNOTSUPP or (int)Errno.ENOTTY
            ? false
            : throw LinuxErrorException.FromLastError($"{verb} {length} bytes at {offset}");
    }

    /// <summary>struct blkpg_ioctl_arg.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    internal struct PartitionRequest
    {
        [FieldOffset(0)] internal int Operation;
        [FieldOffset(8)] internal int DataLength;
        [FieldOffset(16)] internal nint Data;
    }

    /// <summary>struct blkpg_partition.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 152)]
    internal struct PartitionPlace
    {
        [FieldOffset(0)] internal long Start;
        [FieldOffset(8)] internal long Length;
        [FieldOffset(16)] internal int Number;
    }
}
