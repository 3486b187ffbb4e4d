using System.Buffers.Binary;

namespace Quench.Exports.Fuse.Wire;

/// <summary>Opens every request: 40 bytes, the machine's own byte order. (linux/fuse.h, struct fuse_in_header)</summary>
/// <remarks>
/// <code>
///   0        4         8               16            24    28    32    36         40
///   ├ length ┼ opcode ─┼ unique ───────┼ node ───────┼ uid ┼ gid ┼ pid ┼ extlen…─┤
/// </code>
/// </remarks>
internal readonly ref struct RequestHeader(ReadOnlySpan<byte> wire)
{
    internal const int Size = 40;
    private readonly ReadOnlySpan<byte> _wire = wire[..Size];

    internal int Length => BinaryPrimitives.ReadInt32LittleEndian(_wire);

    internal FuseOpcode Opcode => (FuseOpcode)BinaryPrimitives.ReadInt32LittleEndian(_wire[4..]);

    internal ulong Unique => BinaryPrimitives.ReadUInt64LittleEndian(_wire[8..]);

    internal ulong Node => BinaryPrimitives.ReadUInt64LittleEndian(_wire[16..]);
}
