using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Blocks.Devices;

/// <summary>
/// A regular file as a disk. Holes are known (<see cref="Disk.MapAsync"/>) and made: zeroing and discarding punch them, so a file
/// stays as small as its content.
/// </summary>
/// <remarks>
/// With direct I/O the sector is what the file system demands (512 or 4096). A file whose length is not whole sectors keeps its odd
/// last bytes: that last partial sector may be read and written, and goes through a second handle that uses the page cache. Without
/// direct I/O any byte can be addressed and the sector is 1. The length is fixed while the disk is open.
/// </remarks>
public sealed class ImageFile : Disk
{
    private const int LargestDirectAlignment = 4096; // what every file system accepts that does direct I/O at all

    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(200); // a fork and exec take some milliseconds

    private ImageFile(string path, DeviceAccess access, BlockGeometry geometry, SafeFileHandle handle, SafeFileHandle? buffered)
        : base(path, access, geometry, handle, buffered, alignment: geometry.SectorSize)
    {
    }

    /// <summary>Opens a file.</summary>
    /// <param name="path">Its path; symbolic links are followed.</param>
    /// <param name="access">What for.</param>
    /// <param name="exclusive">
    /// Refuse when at this instant somebody else has it open: for writing, or at all when we want to write. Loop devices count. File
    /// systems that can't tell (some network ones) are taken at their word.
    /// </param>
    /// <param name="direct">Go past the page cache where the file system allows; where it does not, through it.</param>
    /// <exception cref="QuenchException">BLOCK-101 to BLOCK-105: nothing there, not a file, in use, not permitted, not to be opened.</exception>
    public static ImageFile Open(string path, DeviceAccess access, bool exclusive, bool direct = true)
    {
        try
        {
            if (NativeFile.TryGetStatus(path) is not { } status)
            {
                throw DiskErrors.NotThere(path);
            }

            return status.Kind == FileKind.Regular
                ? OpenFile(path, access, exclusive, direct, status.Length)
                : throw DiskErrors.NotAFile(path);
        }
        catch (LinuxErrorException failure)
        {
            throw DiskErrors.From(path, failure);
        }
    }

    /// <summary>Makes a new file that reads as zeros and takes no storage yet. Its name and length are durable on return.</summary>
    /// <param name="path">Where; nothing may be there.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="direct">As for <see cref="Open"/>.</param>
    /// <exception cref="QuenchException">BLOCK-106: something is there; BLOCK-107: no room; otherwise as for <see cref="Open"/>.</exception>
    public static ImageFile CreateNew(string path, long length, bool direct = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        try
        {
            using SafeFileHandle made = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
            Settle(made, path, length);
            return OpenFile(path, DeviceAccess.ReadWrite, exclusive: false, direct, length);
        }
        catch (LinuxErrorException failure)
        {
            throw failure.IsOutOfSpace || failure.Errno is Errno.EFBIG
                ? DiskErrors.NoRoom(path, length, failure)
                : DiskErrors.From(path, failure);
        }
    }

    /// <summary>Gives a new file its length and makes both durable, or removes it again.</summary>
    private static void Settle(SafeFileHandle made, string path, long length)
    {
        try
        {
            NativeFile.SetLength(made, length);
            NativeFile.Sync(made);
            NativeFile.SyncDirectory(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    internal static ImageFile OpenHeld(string place, string path, DeviceAccess access, long length) =>
        OpenFile(path, access, exclusive: false, direct: true, length, place);

    private static ImageFile OpenFile(string path, DeviceAccess access, bool exclusive, bool direct, long length, string? openedAt = null)
    {
        string place = openedAt ?? path;
        OpenMode mode = access == DeviceAccess.Read ? OpenMode.ReadOnly : OpenMode.ReadWrite;
        SafeFileHandle? directHandle = direct ? NativeFile.TryOpenDirect(place, mode) : null;
        SafeFileHandle handle = directHandle ?? NativeFile.Open(place, mode);
        SafeFileHandle? buffered = null;
        try
        {
            if (exclusive)
            {
                DemandUnused(handle, path, access);
            }

            int sector = directHandle is null ? 1 : NativeFile.TryGetDirectAlignment(place) ?? LargestDirectAlignment;
            buffered = length % sector == 0 ? null : NativeFile.Open(place, mode);
            return new ImageFile(path, access, new BlockGeometry(length, sector), handle, buffered);
        }
        catch
        {
            buffered?.Dispose();
            handle.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Refuses a file that somebody else has open. A program that is being started holds all handles of its parent for a moment
    /// between fork and exec, and nothing tells when that is over: so the question is asked again for a while before it counts.
    /// </summary>
    private static void DemandUnused(SafeFileHandle handle, string path, DeviceAccess access)
    {
        bool writable = access == DeviceAccess.ReadWrite;
        if (!SpinWait.SpinUntil(() => NativeFile.IsOpenElsewhere(handle, writable) != true, s_patience))
        {
            throw DiskErrors.InUse(path);
        }
    }

    private protected override bool TryZeroCore(Extent range) => NativeFile.TryPunchHole(Handle, range.Offset, range.Length);

    private protected override bool TryDiscardCore(Extent range) => TryZeroCore(range);

    private protected override IReadOnlyList<MappedExtent> MapCore(Extent range)
    {
        ExtentSet data = [];
        long position = range.Offset;
        while (position < range.End && NativeFile.SeekData(Handle, position) is { } start && start < range.End)
        {
            long end = Math.Min(NativeFile.SeekHole(Handle, start) ?? range.End, range.End);
            data.Add(Extent.FromTo(start, end));
            position = end;
        }

        return ExtentMap.FromData(data, range);
    }
}
