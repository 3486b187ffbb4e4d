using System.Numerics;

namespace Quench.Blocks;

/// <summary>
/// One bit for each block of a volume. Ranges are set and cleared a word at a time; memory is one bit a block
/// (at 4 KiB blocks: 32 MiB for 1 TiB), taken from the system only where bits have been set. Not thread-safe.
/// </summary>
public sealed class BlockBitmap
{
    private readonly ulong[] _words;

    /// <summary>A bitmap with every bit clear.</summary>
    /// <param name="length">How many blocks.</param>
    public BlockBitmap(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        _words = new ulong[(length + 63) / 64];
    }

    /// <summary>How many blocks.</summary>
    public long Length { get; }

    /// <summary>Whether a block's bit is set.</summary>
    public bool this[long block]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(block);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(block, Length);
            return (_words[block >> 6] & (1UL << (int)(block & 63))) != 0;
        }
    }

    /// <summary>Sets one bit.</summary>
    public void Set(long block) => SetRange(block, 1);

    /// <summary>Clears one bit.</summary>
    public void Clear(long block) => ClearRange(block, 1);

    /// <summary>Sets a run of bits.</summary>
    public void SetRange(long first, long count)
    {
        Check(first, count);
        for (long block = first, end = first + count; block < end;)
        {
            (long word, ulong mask, long next) = Step(block, end);
            _words[word] |= mask;
            block = next;
        }
    }

    /// <summary>Clears a run of bits.</summary>
    public void ClearRange(long first, long count)
    {
        Check(first, count);
        for (long block = first, end = first + count; block < end;)
        {
            (long word, ulong mask, long next) = Step(block, end);
            _words[word] &= ~mask;
            block = next;
        }
    }

    /// <summary>Sets every bit that is set in another bitmap.</summary>
    /// <param name="other">One of the same length.</param>
    public void UnionWith(BlockBitmap other)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(other.Length, Length);
        for (int word = 0; word < _words.Length; word++)
        {
            ulong bits = other._words[word];
            if (bits != 0) // memory is not taken from the system for zeros
            {
                _words[word] |= bits;
            }
        }
    }

    /// <summary>How many bits of a run are set.</summary>
    public long CountSet(long first, long count)
    {
        Check(first, count);
        long sum = 0;
        for (long block = first, end = first + count; block < end;)
        {
            (long word, ulong mask, long next) = Step(block, end);
            sum += BitOperations.PopCount(_words[word] & mask);
            block = next;
        }

        return sum;
    }

    /// <summary>How many bits are set.</summary>
    public long CountSet() => CountSet(0, Length);

    /// <summary>The first set bit at or after a block; -1 when there is none.</summary>
    public long NextSet(long block) => Next(block, 0);

    /// <summary>The first clear bit at or after a block; -1 when there is none.</summary>
    public long NextClear(long block) => Next(block, ulong.MaxValue);

    /// <summary>
    /// The first set bit in [<paramref name="block"/>, <paramref name="end"/>); <paramref name="end"/> when there is none. Looks no
    /// further.
    /// </summary>
    public long NextSet(long block, long end) => Next(block, end, 0);

    /// <summary>
    /// The first clear bit in [<paramref name="block"/>, <paramref name="end"/>); <paramref name="end"/> when there is none. Looks no
    /// further.
    /// </summary>
    public long NextClear(long block, long end) => Next(block, end, ulong.MaxValue);

    /// <summary>The runs of set bits, in order, as (first block, how many).</summary>
    public IEnumerable<(long First, long Count)> SetRuns()
    {
        long first = NextSet(0);
        while (first >= 0)
        {
            long end = NextClear(first);
            end = end < 0 ? Length : end;
            yield return (first, end - first);
            first = end < Length ? NextSet(end) : -1;
        }
    }

    private long Next(long block, ulong invert)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(block);
        if (block >= Length)
        {
            return -1;
        }

        long word = block >> 6;
        ulong bits = (_words[word] ^ invert) & (ulong.MaxValue << (int)(block & 63));
        while (bits == 0)
        {
            if (++word == _words.Length)
            {
                return -1;
            }

            bits = _words[word] ^ invert;
        }

        long found = (word << 6) + BitOperations.TrailingZeroCount(bits);
        return found < Length ? found : -1;
    }

    private long Next(long block, long end, ulong invert)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(block);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(end, Length);
        if (block >= end)
        {
            return end;
        }

        long last = (end - 1) >> 6;
        long word = block >> 6;
        ulong bits = (_words[word] ^ invert) & (ulong.MaxValue << (int)(block & 63));
        while (bits == 0)
        {
            if (++word > last)
            {
                return end;
            }

            bits = _words[word] ^ invert;
        }

        return Math.Min((word << 6) + BitOperations.TrailingZeroCount(bits), end);
    }

    private void Check(long first, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first, Length - count);
    }

    /// <summary>The bits of [block, end) that lie in block's word, and where the next word begins.</summary>
    private static (long Word, ulong Mask, long Next) Step(long block, long end)
    {
        long word = block >> 6;
        long next = Math.Min(end, (word + 1) << 6);
        int count = (int)(next - block);
        ulong mask = (count == 64 ? ulong.MaxValue : (1UL << count) - 1) << (int)(block & 63);
        return (word, mask, next);
    }
}
