using System.Buffers.Binary;
using System.Numerics;

namespace Quench.SystemTests.Stamps;

/// <summary>
/// A run of blocks that stamps are written into. Which block the k-th stamp goes to follows from k and a key, so that whoever knows the key
/// knows what every block must hold after any number of writes.
/// </summary>
/// <remarks>
/// A stamped block says when and where it belongs:
/// <code>
///   0        8        16       24                                      4092   4096
///   ├ magic ─┼ key ───┼ k ─────┼ filled from key and k ────────────────┼ crc ─┤     little-endian; crc: CRC-32C of what is before it
/// </code>
/// A block that was never written is all zeros.
/// </remarks>
/// <param name="Key">Tells this run's stamps from any other's.</param>
/// <param name="Blocks">How many blocks there are.</param>
internal sealed record StampField(ulong Key, int Blocks)
{
    internal const int BlockSize = 4096;

    private const ulong Magic = 0x31504D4154534E51; // "QNSTAMP1"
    private const int FillOffset = 24;
    private const int CheckOffset = BlockSize - 4;

    internal long Length => (long)Blocks * BlockSize;

    /// <summary>The block that the k-th stamp is written to.</summary>
    internal int PlaceOf(long k) => (int)(Mix(unchecked(Key + ((ulong)k * 0x9E3779B97F4A7C15UL))) % (ulong)Blocks);

    /// <summary>Makes the k-th stamp.</summary>
    internal void Encode(Span<byte> block, long k)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(block, Magic);
        BinaryPrimitives.WriteUInt64LittleEndian(block[8..], Key);
        BinaryPrimitives.WriteInt64LittleEndian(block[16..], k);
        ulong fill = Mix(Key ^ (ulong)k);
        for (int at = FillOffset; at < CheckOffset - 4; at += 8)
        {
            fill ^= fill << 13;
            fill ^= fill >> 7;
            fill ^= fill << 17;
            BinaryPrimitives.WriteUInt64LittleEndian(block[at..], fill);
        }

        block[(CheckOffset - 4)..CheckOffset].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(block[CheckOffset..], Checksum(block));
    }

    /// <summary>Reads which stamp a block holds.</summary>
    /// <param name="block">The block.</param>
    /// <param name="k">The stamp; 0 when none was ever written here; -1 when it holds something else.</param>
    /// <returns>Null when it holds a whole stamp of this field or none; otherwise what is wrong with it.</returns>
    internal string? Decode(ReadOnlySpan<byte> block, out long k)
    {
        k = -1;
        if (block.IndexOfAnyExcept((byte)0) < 0)
        {
            k = 0;
            return null;
        }

        if (BinaryPrimitives.ReadUInt64LittleEndian(block) != Magic)
        {
            return "is no stamp";
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(block[CheckOffset..]) != Checksum(block))
        {
            return "is torn: its checksum does not fit";
        }

        if (BinaryPrimitives.ReadUInt64LittleEndian(block[8..]) != Key)
        {
            return "is a stamp of another run";
        }

        k = BinaryPrimitives.ReadInt64LittleEndian(block[16..]);
        return null;
    }

    /// <summary>A good spread of 64 bits (the finaliser of SplitMix64).</summary>
    private static ulong Mix(ulong value)
    {
        unchecked
        {
            value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9UL;
            value = (value ^ (value >> 27)) * 0x94D049BB133111EBUL;
            return value ^ (value >> 31);
        }
    }

    private static uint Checksum(ReadOnlySpan<byte> block)
    {
        uint sum = uint.MaxValue;
        for (int at = 0; at < CheckOffset; at += 4)
        {
            sum = BitOperations.Crc32C(sum, BinaryPrimitives.ReadUInt32LittleEndian(block[at..]));
        }

        return sum;
    }
}
