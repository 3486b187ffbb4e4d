using Microsoft.Win32.SafeHandles;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Blocks.Devices;

/// <summary>A block device of this machine, past the page cache (O_DIRECT). Its sector is the device's logical one.</summary>
public sealed class RawDevice : Disk
{
    private RawDevice(string path, DeviceAccess access, BlockGeometry geometry, SafeFileHandle handle)
        : base(path, access, geometry, handle, buffered: null, alignment: geometry.SectorSize)
    {
    }

    /// <summary>Opens a block device.</summary>
    /// <param name="path">Its path, such as /dev/sda2; symbolic links are followed.</param>
    /// <param name="access">What for.</param>
    /// <param name="exclusive">
    /// Claim it: fails while it is mounted, swapped on, or part of another device, and keeps others from claiming it. (open(2), O_EXCL)
    /// </param>
    /// <exception cref="QuenchException">BLOCK-101 to BLOCK-105: nothing there, not a block device, in use, not permitted, not to be opened.</exception>
    public static new RawDevice Open(string path, DeviceAccess access, bool exclusive)
    {
        OpenMode mode = (access == DeviceAccess.Read ? OpenMode.ReadOnly : OpenMode.ReadWrite)
            | OpenMode.Direct | (exclusive ? OpenMode.Exclusive : 0);
        try
        {
            if (NativeFile.TryGetStatus(path) is not { } status)
            {
                throw DiskErrors.NotThere(path);
            }

            return status.Kind == FileKind.BlockDevice
                ? Adopt(path, access, NativeFile.Open(path, mode))
                : throw DiskErrors.NotABlockDevice(path);
        }
        catch (LinuxErrorException failure)
        {
            throw DiskErrors.From(path, failure);
        }
    }

    internal static RawDevice OpenHeld(string place, string path, DeviceAccess access) =>
        Adopt(path, access, NativeFile.Open(place, (access == DeviceAccess.Read ? OpenMode.ReadOnly : OpenMode.ReadWrite) | OpenMode.Direct));

    private static RawDevice Adopt(string path, DeviceAccess access, SafeFileHandle handle)
    {
        try
        {
            BlockGeometry geometry = new(BlockDevice.GetLength(handle), BlockDevice.GetLogicalSectorSize(handle));
            return new RawDevice(path, access, geometry, handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private protected override bool TryZeroCore(Extent range) => BlockDevice.TryZeroOut(Handle, range.Offset, range.Length);

    private protected override bool TryDiscardCore(Extent range) => BlockDevice.TryDiscard(Handle, range.Offset, range.Length);

    // A device has no cheap answer to "what is where"; "data" is always a true one.
    private protected override IReadOnlyList<MappedExtent> MapCore(Extent range) => ExtentMap.AllData(range);
}
