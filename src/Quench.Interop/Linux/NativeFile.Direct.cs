using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <content>Transfers through a handle opened with O_DIRECT, which demands aligned memory.</content>
public static unsafe partial class NativeFile
{
    private const uint STATX_DIOALIGN = 0x2000;

    /// <summary>Reads like <see cref="Read"/>, provided that the buffer's address is aligned.</summary>
    /// <param name="file">A handle; borrowed.</param>
    /// <param name="into">The destination.</param>
    /// <param name="offset">First byte.</param>
    /// <param name="alignment">What the address must be a multiple of; a power of two.</param>
    /// <param name="count">Bytes read; fewer than asked only at the end of the file.</param>
    /// <returns>False when the buffer is not aligned; nothing was read then.</returns>
    public static bool TryReadAligned(SafeFileHandle file, Span<byte> into, long offset, int alignment, out int count)
    {
        // Pinned across check and transfer: the collector must not move a managed array in between.
        fixed (byte* buffer = into)
        {
            bool aligned = IsAligned(buffer, alignment);
            count = aligned ? Read(file, into, offset) : 0;
            return aligned;
        }
    }

    /// <summary>Writes like <see cref="Write"/>, provided that the buffer's address is aligned.</summary>
    /// <returns>False when the buffer is not aligned; nothing was written then.</returns>
    public static bool TryWriteAligned(SafeFileHandle file, ReadOnlySpan<byte> source, long offset, int alignment)
    {
        fixed (byte* buffer = source)
        {
            bool aligned = IsAligned(buffer, alignment);
            if (aligned)
            {
                Write(file, source, offset);
            }

            return aligned;
        }
    }

    /// <summary>What direct I/O on a file demands of offsets, lengths and addresses, in bytes. (statx(2), STATX_DIOALIGN)</summary>
    /// <returns>Null when the kernel or the file system does not say.</returns>
    public static int? TryGetDirectAlignment(string path)
    {
        LibC.Statx status;
        if (LibC.statx(AT_FDCWD, path, 0, STATX_DIOALIGN, &status) != 0)
        {
            throw LinuxErrorException.FromLastError("stat", path);
        }

        bool told = (status.Mask & STATX_DIOALIGN) != 0 && status.DirectOffsetAlign != 0;
        return told ? (int)Math.Max(status.DirectMemoryAlign, status.DirectOffsetAlign) : null;
    }

    private static bool IsAligned(byte* address, int alignment) => ((nuint)address & (nuint)(alignment - 1)) == 0;
}
