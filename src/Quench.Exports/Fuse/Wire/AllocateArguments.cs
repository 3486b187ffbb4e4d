using System.Buffers.Binary;

namespace Quench.Exports.Fuse.Wire;

/// <summary>Follows the header of an allocation: 32 bytes. (linux/fuse.h, struct fuse_fallocate_in)</summary>
/// <remarks>
/// <code>
///   0              8               16             24     28     32
///   ├ handle ──────┼ offset ───────┼ length ──────┼ mode ┼ pad ─┤
/// </code>
/// </remarks>
internal readonly ref struct AllocateArguments(ReadOnlySpan<byte> wire)
{
    internal const int Size = 32;
    internal const int KeepSize = 1;
    internal const int PunchHole = 2;
    internal const int ZeroRange = 16;
    private readonly ReadOnlySpan<byte> _wire = wire[..Size];

    internal long Offset => BinaryPrimitives.ReadInt64LittleEndian(_wire[8..]);

    internal long Length => BinaryPrimitives.ReadInt64LittleEndian(_wire[16..]);

    internal int Mode => BinaryPrimitives.ReadInt32LittleEndian(_wire[24..]);
}
