using System.Buffers.Binary;

namespace Quench.Vault;

/// <summary>
/// The name of a chunk: 32 bytes that only a holder of the vault's keys can compute from its content, so equal content has an equal id.
/// All zeros name a hole: a chunk, or a whole page of chunks, that reads as zeros and is stored nowhere. (docs/vault-format.md §5.1)
/// </summary>
public readonly record struct ChunkId
{
    /// <summary>Bytes of an id.</summary>
    public const int Size = 32;

    // The id's bytes as four little-endian words.
    private readonly ulong _a;
    private readonly ulong _b;
    private readonly ulong _c;
    private readonly ulong _d;

    private ChunkId(ReadOnlySpan<byte> bytes)
    {
        _a = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        _b = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        _c = BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]);
        _d = BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]);
    }

    /// <summary>The id of what reads as zeros and is stored nowhere.</summary>
    public static ChunkId Hole => default;

    /// <summary>Whether this is the hole's id.</summary>
    public bool IsHole => (_a | _b | _c | _d) == 0;

    /// <summary>Eight bytes of the id, spread evenly over the numbers: an id is its own hash.</summary>
    internal ulong Prefix => _a;

    /// <summary>The eight bytes behind the prefix, as evenly spread and independent of it.</summary>
    internal ulong Second => _b;

    /// <summary>Reads an id from its 32 bytes.</summary>
    /// <exception cref="ArgumentException">There are not exactly 32.</exception>
    public static ChunkId From(ReadOnlySpan<byte> bytes) =>
        bytes.Length == Size ? new ChunkId(bytes) : throw new ArgumentException($"a chunk id has {Size} bytes, not {bytes.Length}", nameof(bytes));

    /// <summary>Writes the id's 32 bytes.</summary>
    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(destination, _a);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], _b);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], _c);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], _d);
    }

    /// <summary>The order in which the index keeps ids: by <see cref="Prefix"/> first. It means nothing else.</summary>
    internal int CompareTo(ChunkId other) =>
        _a != other._a ? _a.CompareTo(other._a)
        : _b != other._b ? _b.CompareTo(other._b)
        : _c != other._c ? _c.CompareTo(other._c)
        : _d.CompareTo(other._d);

    /// <summary>The id as 64 hexadecimal digits.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Size];
        CopyTo(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)_a);
}
