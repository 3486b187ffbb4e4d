using System.Buffers;
using System.Buffers.Binary;
using Quench.Blocks;

namespace Quench.Snapshots.Tracking;

/// <summary>
/// A bitmap in few bytes: the lengths of its runs, clear and set in turn, or the bits themselves where those are shorter. So a map is never
/// larger than a bit a block, and a map with few runs is small however large the volume.
/// </summary>
/// <remarks>
/// <code>
///   form (1 byte)   count of bits (8)   then
///   1: runs         lengths as base-128 numbers, low digits first: clear, set, clear, … until the bits are all told
///   2: bits         eight a byte, the lowest first
/// </code>
/// A <see cref="UsedBlocks"/> is preceded by the volume's length (8) and the block size (4). Little-endian.
/// </remarks>
internal static class BlockRuns
{
    private const byte Runs = 1;
    private const byte Bits = 2;
    private const int HeaderSize = 9;
    private const int UsedHeaderSize = 12;

    /// <summary>Appends a bitmap.</summary>
    internal static void Encode(IBufferWriter<byte> into, long count, IEnumerable<(long First, long Count)> runs)
    {
        long size = 0;
        long at = 0;
        foreach ((long first, long length) in runs)
        {
            size += SizeOf(first - at) + SizeOf(length);
            at = first + length;
        }

        size += at < count ? SizeOf(count - at) : 0;
        bool asBits = size > (count + 7) / 8;
        Span<byte> header = into.GetSpan(HeaderSize);
        header[0] = asBits ? Bits : Runs;
        BinaryPrimitives.WriteInt64LittleEndian(header[1..], count);
        into.Advance(HeaderSize);
        if (asBits)
        {
            EncodeBits(into, count, runs);
        }
        else
        {
            EncodeRuns(into, count, runs);
        }
    }

    /// <summary>Takes a bitmap from the front of a source.</summary>
    /// <param name="source">Moved behind the bitmap.</param>
    /// <param name="expected">How many bits it must have.</param>
    /// <param name="add">Receives each run of set bits, in order.</param>
    /// <exception cref="InvalidDataException">It is not a bitmap of that many bits.</exception>
    internal static void Decode(ref ReadOnlySpan<byte> source, long expected, Action<long, long> add)
    {
        byte form = Take(ref source, 1)[0];
        long count = BinaryPrimitives.ReadInt64LittleEndian(Take(ref source, 8));
        if (count != expected || form is not (Runs or Bits))
        {
            throw Damaged();
        }

        if (form == Bits)
        {
            DecodeBits(Take(ref source, checked((int)((count + 7) / 8))), count, add);
        }
        else
        {
            DecodeRuns(ref source, count, add);
        }
    }

    /// <summary>A map of a volume on its own.</summary>
    internal static byte[] Encode(UsedBlocks map)
    {
        ArrayBufferWriter<byte> into = new();
        Span<byte> header = into.GetSpan(UsedHeaderSize);
        BinaryPrimitives.WriteInt64LittleEndian(header, map.VolumeLength);
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], map.BlockSize);
        into.Advance(UsedHeaderSize);
        Encode(into, map.Bits.Length, map.Bits.SetRuns());
        return into.WrittenSpan.ToArray();
    }

    /// <summary>Takes a map of a volume from the front of a source.</summary>
    /// <exception cref="InvalidDataException">It is not a map of a volume of that length.</exception>
    internal static UsedBlocks DecodeUsed(ref ReadOnlySpan<byte> source, long volumeLength)
    {
        ReadOnlySpan<byte> header = Take(ref source, UsedHeaderSize);
        int blockSize = BinaryPrimitives.ReadInt32LittleEndian(header[8..]);
        if (BinaryPrimitives.ReadInt64LittleEndian(header) != volumeLength || blockSize < 512 || (blockSize & (blockSize - 1)) != 0)
        {
            throw Damaged();
        }

        UsedBlocks map = new(volumeLength, blockSize);
        Decode(ref source, map.Bits.Length, map.Bits.SetRange);
        return map;
    }

    internal static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> source, int length)
    {
        if (length < 0 || length > source.Length)
        {
            throw Damaged();
        }

        ReadOnlySpan<byte> taken = source[..length];
        source = source[length..];
        return taken;
    }

    internal static InvalidDataException Damaged() => new("a stored block map is damaged");

    private static void EncodeRuns(IBufferWriter<byte> into, long count, IEnumerable<(long First, long Count)> runs)
    {
        long at = 0;
        foreach ((long first, long length) in runs)
        {
            Put(into, first - at);
            Put(into, length);
            at = first + length;
        }

        if (at < count)
        {
            Put(into, count - at);
        }
    }

    private static void EncodeBits(IBufferWriter<byte> into, long count, IEnumerable<(long First, long Count)> runs)
    {
        int size = checked((int)((count + 7) / 8));
        Span<byte> bits = into.GetSpan(size)[..size];
        bits.Clear();
        foreach ((long first, long length) in runs)
        {
            for (long bit = first; bit < first + length; bit++)
            {
                bits[(int)(bit >> 3)] |= (byte)(1 << (int)(bit & 7));
            }
        }

        into.Advance(size);
    }

    private static void DecodeRuns(ref ReadOnlySpan<byte> source, long count, Action<long, long> add)
    {
        bool set = false;
        for (long at = 0; at < count; set = !set)
        {
            long length = Get(ref source);
            if (length > count - at || (length == 0 && at > 0))
            {
                throw Damaged();
            }

            if (set)
            {
                add(at, length);
            }

            at += length;
        }
    }

    private static void DecodeBits(ReadOnlySpan<byte> bits, long count, Action<long, long> add)
    {
        long first = -1;
        for (long bit = 0; bit <= count; bit++)
        {
            bool set = bit < count && (bits[(int)(bit >> 3)] & (1 << (int)(bit & 7))) != 0;
            if (set && first < 0)
            {
                first = bit;
            }
            else if (!set && first >= 0)
            {
                add(first, bit - first);
                first = -1;
            }
        }
    }

    private static int SizeOf(long number)
    {
        int size = 1;
        for (ulong rest = (ulong)number >> 7; rest != 0; rest >>= 7)
        {
            size++;
        }

        return size;
    }

    private static void Put(IBufferWriter<byte> into, long number)
    {
        Span<byte> room = into.GetSpan(10);
        int at = 0;
        ulong rest = (ulong)number;
        for (; rest >= 0x80; rest >>= 7)
        {
            room[at++] = (byte)((rest & 0x7F) | 0x80);
        }

        room[at++] = (byte)rest;
        into.Advance(at);
    }

    private static long Get(ref ReadOnlySpan<byte> source)
    {
        ulong number = 0;
        for (int shift = 0; shift < 63; shift += 7)
        {
            byte digits = Take(ref source, 1)[0];
            number |= (ulong)(digits & 0x7F) << shift;
            if (digits < 0x80)
            {
                return (long)number;
            }
        }

        throw Damaged();
    }
}
