using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Btrfs;

// The key of an item. (btrfs documentation, "On-disk Format", Basic Structures: Key)
//
//     objectid (8) ┬ type (1) ┬ offset (8)
internal readonly record struct TreeKey(ulong ObjectId, ItemType Type, ulong Offset)
{
    public const int Size = 17;

    /// <summary>The first of all keys.</summary>
    public static TreeKey First => default;

    /// <summary>The last of all keys.</summary>
    public static TreeKey Last => new(ulong.MaxValue, (ItemType)byte.MaxValue, ulong.MaxValue);

    public static TreeKey Read(ReadOnlySpan<byte> bytes) => new(ReadUInt64LittleEndian(bytes), (ItemType)bytes[8], ReadUInt64LittleEndian(bytes[9..]));

    public bool IsBefore(TreeKey other) =>
        ObjectId != other.ObjectId ? ObjectId < other.ObjectId
        : Type != other.Type ? Type < other.Type
        : Offset < other.Offset;
}
