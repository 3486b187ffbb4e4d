using System.Buffers.Binary;

namespace Quench.Exports.Fuse.Wire;

/// <summary>Follows the header of a read or a write: 40 bytes. (linux/fuse.h, struct fuse_read_in and struct fuse_write_in)</summary>
/// <remarks>
/// <code>
///   0              8               16     20      24            32     36      40
///   ├ handle ──────┼ offset ───────┼ size ┼ flags ┼ lock owner ─┼ flags┼ pad ──┤
/// </code>
/// </remarks>
internal readonly ref struct TransferArguments(ReadOnlySpan<byte> wire)
{
    internal const int Size = 40;
    private readonly ReadOnlySpan<byte> _wire = wire[..Size];

    internal long Offset => BinaryPrimitives.ReadInt64LittleEndian(_wire[8..]);

    internal int Length => BinaryPrimitives.ReadInt32LittleEndian(_wire[16..]);
}
