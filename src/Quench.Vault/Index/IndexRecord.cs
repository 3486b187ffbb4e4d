using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Index;

// Where a chunk is, as the index keeps it in memory and in runs.
//
//   0    32     36       40              44     48        52
//   ├ id ┼ pack ┼ offset ┼ sealed length ┼ meta ┼ ordinal ┤
internal readonly record struct IndexRecord(ChunkId Id, int Pack, int Offset, int SealedLength, uint Meta, int Ordinal)
{
    internal const int Size = 52;

    /// <summary>The first eight bytes of the id of a written record.</summary>
    internal static ulong PeekPrefix(ReadOnlySpan<byte> bytes) => ReadUInt64LittleEndian(bytes);

    internal static IndexRecord Read(ReadOnlySpan<byte> bytes) => new(
        ChunkId.From(bytes[..ChunkId.Size]),
        ReadInt32LittleEndian(bytes[32..]),
        ReadInt32LittleEndian(bytes[36..]),
        ReadInt32LittleEndian(bytes[40..]),
        ReadUInt32LittleEndian(bytes[44..]),
        ReadInt32LittleEndian(bytes[48..]));

    internal void Write(Span<byte> bytes)
    {
        Id.CopyTo(bytes);
        WriteInt32LittleEndian(bytes[32..], Pack);
        WriteInt32LittleEndian(bytes[36..], Offset);
        WriteInt32LittleEndian(bytes[40..], SealedLength);
        WriteUInt32LittleEndian(bytes[44..], Meta);
        WriteInt32LittleEndian(bytes[48..], Ordinal);
    }
}
