using System.Buffers.Binary;
using System.Numerics;

namespace Quench.FileSystems;

/// <summary>The runs of set bits in an on-disk bitmap, a word at a time. Bit n is bit n mod 8 of byte n / 8.</summary>
internal ref struct BitRuns(ReadOnlySpan<byte> bytes, int count)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes[..((count + 7) / 8)];
    private readonly int _count = count;
    private int _position;

    /// <summary>Where the current run begins.</summary>
    public int First { get; private set; }

    /// <summary>How many bits it has.</summary>
    public int Count { get; private set; }

    /// <summary>Steps to the next run.</summary>
    public bool MoveNext()
    {
        First = Find(_position, 0);
        if (First >= _count)
        {
            return false;
        }

        _position = Find(First, ulong.MaxValue);
        Count = _position - First;
        return true;
    }

    /// <summary>The first bit at or after a position that differs from the bits of <paramref name="invert"/>; the count when there is none.</summary>
    private readonly int Find(int position, ulong invert)
    {
        while (position < _count)
        {
            int inWord = position & 63;
            ulong bits = (Word(position >> 6) ^ invert) >> inWord;
            if (bits != 0)
            {
                return Math.Min(_count, position + BitOperations.TrailingZeroCount(bits));
            }

            position += 64 - inWord;
        }

        return _count;
    }

    private readonly ulong Word(int index)
    {
        ReadOnlySpan<byte> rest = _bytes[(index * sizeof(ulong))..];
        if (rest.Length >= sizeof(ulong))
        {
            return BinaryPrimitives.ReadUInt64LittleEndian(rest);
        }

        ulong word = 0;
        for (int at = 0; at < rest.Length; at++)
        {
            word |= (ulong)rest[at] << (at * 8);
        }

        return word;
    }
}
