using System.Text;
using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.PartitionTables;

// One entry of the array. (UEFI 2.10, §5.3.3, table 5.6; numbers little-endian)
//
//     0          16        32            40           48           56          128
//     ├ type ────┼ own id ─┼ first LBA ──┼ last LBA ──┼ attributes ┼ name, UTF-16 ┤

/// <summary>An entry of a GUID partition table, seen in its bytes.</summary>
internal readonly ref struct GptEntry(ReadOnlySpan<byte> entry)
{
    public const int LeastSize = 128;
    private const int LastField = 40;

    private readonly ReadOnlySpan<byte> _entry = entry[..LeastSize];

    public bool IsEmpty => !_entry[..16].ContainsAnyExcept((byte)0);

    public Guid Type => new(_entry[..16]);

    public Guid Id => new(_entry.Slice(16, 16));

    public ulong First => ReadUInt64LittleEndian(_entry[32..]);

    public ulong Last => ReadUInt64LittleEndian(_entry[LastField..]);

    /// <summary>The name up to its first zero.</summary>
    public string Name
    {
        get
        {
            string text = Encoding.Unicode.GetString(_entry.Slice(56, 72));
            int end = text.IndexOf('\0', StringComparison.Ordinal);
            return end < 0 ? text : text[..end];
        }
    }

    /// <summary>The partition; null when its sectors are not those of a partition between two others.</summary>
    public Partition? ToPartition(int number, long firstUsable, long lastUsable, int sectorSize) =>
        First <= Last && First >= (ulong)firstUsable && Last <= (ulong)lastUsable
            ? new Partition(number, Extent.FromTo((long)First * sectorSize, ((long)Last + 1) * sectorSize), Type.ToString()) { Name = Name, Id = Id.ToString() }
            : null;

    /// <summary>Lets an entry end at another sector.</summary>
    public static void SetLast(Span<byte> entry, long last) => WriteInt64LittleEndian(entry[LastField..], last);
}
