namespace Quench.Blocks;

/// <summary>A run of bytes: where it starts and how long it is. Never negative; may be empty.</summary>
public readonly record struct Extent : IComparable<Extent>
{
    /// <summary>Makes an extent.</summary>
    /// <param name="offset">Its first byte; not negative.</param>
    /// <param name="length">Bytes; not negative, and the end must fit a <see cref="long"/>.</param>
    public Extent(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _ = checked(offset + length);
        Offset = offset;
        Length = length;
    }

    /// <summary>The first byte.</summary>
    public long Offset { get; }

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>The first byte after it.</summary>
    public long End => Offset + Length;

    /// <summary>Whether it holds no byte.</summary>
    public bool IsEmpty => Length == 0;

    /// <summary>The extent from one byte up to, not including, another.</summary>
    public static Extent FromTo(long offset, long end) => new(offset, end - offset);

    /// <summary>Whether a byte lies in it.</summary>
    public bool Contains(long offset) => offset >= Offset && offset < End;

    /// <summary>Whether all of another extent lies in it.</summary>
    public bool Contains(Extent other) => other.Offset >= Offset && other.End <= End;

    /// <summary>Whether the two share a byte.</summary>
    public bool Overlaps(Extent other) => Offset < other.End && other.Offset < End && !IsEmpty && !other.IsEmpty;

    /// <summary>The bytes that both hold; empty when there are none.</summary>
    public Extent Intersect(Extent other)
    {
        long start = Math.Max(Offset, other.Offset);
        long end = Math.Min(End, other.End);
        return end > start ? FromTo(start, end) : default;
    }

    /// <summary>The smallest run of whole blocks that holds all of it.</summary>
    /// <param name="blockSize">Bytes; a power of two.</param>
    public Extent AlignOut(int blockSize)
    {
        long mask = blockSize - 1L;
        return IsEmpty ? new Extent(Offset & ~mask, 0) : FromTo(Offset & ~mask, checked(End + mask) & ~mask);
    }

    /// <summary>The whole blocks that lie in it; empty when there are none.</summary>
    /// <param name="blockSize">Bytes; a power of two.</param>
    public Extent AlignIn(int blockSize)
    {
        long mask = blockSize - 1L;
        long start = checked(Offset + mask) & ~mask;
        long end = End & ~mask;
        return end > start ? FromTo(start, end) : default;
    }

    /// <summary>Turns a position inside this extent into one of the device it is a part of.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside.</exception>
    public long Translate(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return Offset + offset;
    }

    /// <summary>Orders by offset, then by length.</summary>
    public int CompareTo(Extent other)
    {
        int byOffset = Offset.CompareTo(other.Offset);
        return byOffset != 0 ? byOffset : Length.CompareTo(other.Length);
    }

    /// <summary>Shows it as [start, end) in hexadecimal.</summary>
    public override string ToString() => $"[0x{Offset:x}, 0x{End:x})";

    /// <summary>Whether one starts before another.</summary>
    public static bool operator <(Extent left, Extent right) => left.CompareTo(right) < 0;

    /// <summary>Whether one starts after another.</summary>
    public static bool operator >(Extent left, Extent right) => left.CompareTo(right) > 0;

    /// <summary>Not after.</summary>
    public static bool operator <=(Extent left, Extent right) => left.CompareTo(right) <= 0;

    /// <summary>Not before.</summary>
    public static bool operator >=(Extent left, Extent right) => left.CompareTo(right) >= 0;
}
