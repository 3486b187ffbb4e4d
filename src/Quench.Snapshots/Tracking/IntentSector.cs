using System.Buffers.Binary;
using System.Numerics;

namespace Quench.Snapshots.Tracking;

/// <summary>One sector of the write-intent map's file: written whole or not at all by the medium, and sound or not on its own.</summary>
/// <remarks>
/// <code>
///   0        4        8                24               32                                    504   508
///   ├ "QNTI" ┼ index ─┼ state's id ────┼ basis ─────────┼ a bit for each of 3776 regions ──────┼ 0 ──┼ CRC-32C of 0..508 ┤
/// </code>
/// Little-endian. A set bit: changes in the region (4 MiB) may be missing in the checkpoint. *Basis* is the sequence number of the checkpoint
/// that made it possible to clear bits: with an older checkpoint the sector must not be believed.
/// </remarks>
internal static class IntentSector
{
    internal const int Size = 512;
    internal const int Words = 59;
    internal const int Regions = Words * 64;

    private const uint Magic = 0x49544E51;
    private const int BasisAt = 24;
    private const int BitsAt = 32;
    private const int ChecksumAt = 508;

    internal static int SectorsFor(int regions) => (regions + Regions - 1) / Regions;

    /// <summary>Fills a sector.</summary>
    internal static void Encode(Span<byte> into, int index, Guid state, long basis, ReadOnlySpan<ulong> bits)
    {
        into.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(into, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(into[4..], index);
        state.TryWriteBytes(into[8..]);
        BinaryPrimitives.WriteInt64LittleEndian(into[BasisAt..], basis);
        for (int word = 0; word < bits.Length; word++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(into[(BitsAt + (8 * word))..], bits[word]);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(into[ChecksumAt..], Checksum(into));
    }

    /// <summary>Reads a sector.</summary>
    /// <param name="source">The sector.</param>
    /// <param name="index">Which one it must be.</param>
    /// <param name="state">Whose it must be.</param>
    /// <param name="bits">Receives the bits; at most <see cref="Words"/> words.</param>
    /// <param name="basis">Receives the basis.</param>
    /// <returns>False when it is damaged, or not this sector of this state.</returns>
    internal static bool TryDecode(ReadOnlySpan<byte> source, int index, Guid state, Span<ulong> bits, out long basis)
    {
        basis = BinaryPrimitives.ReadInt64LittleEndian(source[BasisAt..]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic
            || BinaryPrimitives.ReadInt32LittleEndian(source[4..]) != index
            || new Guid(source.Slice(8, 16)) != state
            || BinaryPrimitives.ReadUInt32LittleEndian(source[ChecksumAt..]) != Checksum(source))
        {
            return false;
        }

        for (int word = 0; word < bits.Length; word++)
        {
            bits[word] = BinaryPrimitives.ReadUInt64LittleEndian(source[(BitsAt + (8 * word))..]);
        }

        return true;
    }

    private static uint Checksum(ReadOnlySpan<byte> sector)
    {
        uint crc = uint.MaxValue;
        for (int at = 0; at < ChecksumAt - 4; at += 8)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(sector[at..]));
        }

        return ~BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt32LittleEndian(sector[(ChecksumAt - 4)..]));
    }
}
