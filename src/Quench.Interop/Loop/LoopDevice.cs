using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Loop;

/// <summary>Loop devices: a file as a block device. (linux/loop.h, drivers/block/loop.c; needs CAP_SYS_ADMIN)</summary>
public static unsafe class LoopDevice
{
    private const nuint LOOP_CLR_FD = 0x4C01;
    private const nuint LOOP_CONFIGURE = 0x4C0A;
    private const nuint LOOP_CTL_GET_FREE = 0x4C82;
    private const nuint LOOP_SET_STATUS64 = 0x4C04;
    private const nuint LOOP_GET_STATUS64 = 0x4C05;
    private const uint LO_FLAGS_READ_ONLY = 1;
    private const uint LO_FLAGS_AUTOCLEAR = 4;
    private const uint LO_FLAGS_PARTSCAN = 8;
    private const uint LO_FLAGS_DIRECT_IO = 16;
    private const int NameLength = 64;
    private const int MaxAttempts = 64;
    private const int SmallestSector = 512;

    /// <summary>Attaches a file to a free loop device, with direct I/O, and returns the device's path.</summary>
    /// <param name="file">The backing file, opened as it shall be used. The kernel holds it on its own afterwards.</param>
    /// <param name="sectorSize">The device's logical sector in bytes: 512 to 4096.</param>
    /// <param name="readOnly">Whether the device refuses writes.</param>
    /// <param name="label">What losetup(8) shows as the backing file, at most 63 bytes of ASCII.</param>
    public static string Attach(SafeFileHandle file, int sectorSize, bool readOnly, string label)
    {
        (string path, SafeFileHandle device) = Attach(file, Config(sectorSize, LO_FLAGS_DIRECT_IO | (readOnly ? LO_FLAGS_READ_ONLY : 0)), readOnly, label);
        device.Dispose();
        return path;
    }

    /// <summary>
    /// Attaches a file to a free loop device that is gone as soon as nobody has it open or mounted any more, whoever dies meanwhile.
    /// </summary>
    /// <param name="file">The backing file, open for reading and writing. The kernel holds it on its own afterwards.</param>
    /// <param name="label">As for <see cref="Attach(SafeFileHandle, int, bool, string)"/>.</param>
    /// <param name="device">The device, open for reading and locked (flock(2)): it lasts at least as long as this.</param>
    /// <returns>The device's path.</returns>
    public static string AttachWhileUsed(SafeFileHandle file, string label, out SafeFileHandle device)
    {
        (string path, SafeFileHandle writable) = Attach(file, Config(SmallestSector, LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR), readOnly: false, label);
        using (writable)
        {
            // A kernel may refuse to mount what somebody has open for writing. udev keeps away from a device that is locked.
            device = NativeFile.Open(path, OpenMode.ReadOnly);
            AdvisoryLock.TryTake(device);
            return path;
        }
    }

    private static LoopConfig Config(int sectorSize, uint flags) => new() { BlockSize = (uint)sectorSize, Flags = flags };

    private static (string Path, SafeFileHandle Device) Attach(SafeFileHandle file, LoopConfig config, bool readOnly, string label)
    {
        config.Fd = (uint)file.DangerousGetHandle();
        for (int at = 0; at < Math.Min(label.Length, NameLength - 1); at++)
        {
            config.FileName[at] = (byte)label[at];
        }

        using SafeFileHandle control = NativeFile.Open("/dev/loop-control", OpenMode.ReadWrite);
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            int number = LibC.ioctl(control, LOOP_CTL_GET_FREE, (nint)0);
            if (number < 0)
            {
                throw LinuxErrorException.FromLastError("find a free loop device");
            }

            string path = string.Create(CultureInfo.InvariantCulture, $"/dev/loop{number}");
            SafeFileHandle device = NativeFile.Open(path, readOnly ? OpenMode.ReadOnly : OpenMode.ReadWrite);
            if (LibC.ioctl(device, LOOP_CONFIGURE, &config) == 0)
            {
                GC.KeepAlive(file);
                return (path, device);
            }

            int error = Marshal.GetLastPInvokeError();
            device.Dispose();
            if (error != (int)Errno.EBUSY)
            {
                throw new LinuxErrorException((Errno)error, "attach", path);
            }
        }

        throw new LinuxErrorException(Errno.EBUSY, "attach", "/dev/loop*");
    }

    /// <summary>Lets a loop device have partitions, and has the kernel look for those that it can read.</summary>
    public static void AllowPartitions(string path)
    {
        using SafeFileHandle device = NativeFile.Open(path, OpenMode.ReadOnly);
        LoopStatus status = default;
        if (LibC.ioctl(device, LOOP_GET_STATUS64, &status) == 0)
        {
            status.Flags |= LO_FLAGS_PARTSCAN;
            if (LibC.ioctl(device, LOOP_SET_STATUS64, &status) == 0)
            {
                return;
            }
        }

        throw LinuxErrorException.FromLastError("allow partitions on", path);
    }

    /// <summary>Detaches a loop device that nobody uses.</summary>
    /// <returns>False when it is mounted or held by somebody: nothing has changed then.</returns>
    public static bool TryDetach(string path)
    {
        SafeFileHandle device;
        try
        {
            device = NativeFile.Open(path, OpenMode.ReadOnly | OpenMode.Exclusive);
        }
        catch (LinuxErrorException failure) when (failure.Errno == Errno.EBUSY)
        {
            return false;
        }

        using (device)
        {
            if (LibC.ioctl(device, LOOP_CLR_FD, (nint)0) == 0)
            {
                return true;
            }

            return Marshal.GetLastPInvokeError() == (int)Errno.ENXIO ? true : throw LinuxErrorException.FromLastError("detach", path);
        }
    }

    /// <summary>struct loop_info64, of which all but the flags goes back as it came. (linux/loop.h)</summary>
    [StructLayout(LayoutKind.Explicit, Size = 232)]
    internal struct LoopStatus
    {
        [FieldOffset(52)] internal uint Flags;
    }

    /// <summary>struct loop_config with struct loop_info64 inside. (linux/loop.h)</summary>
    [StructLayout(LayoutKind.Explicit, Size = 304)]
    internal struct LoopConfig
    {
        [FieldOffset(0)] internal uint Fd;
        [FieldOffset(4)] internal uint BlockSize;
        [FieldOffset(8 + 52)] internal uint Flags;
        [FieldOffset(8 + 56)] internal fixed byte FileName[NameLength];
    }
}
