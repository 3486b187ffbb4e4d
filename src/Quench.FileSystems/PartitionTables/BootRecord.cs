using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.PartitionTables;

// The first sector of a disk, and of each logical partition's place. (UEFI 2.10, §5.2.1, "Legacy Master Boot Record"; numbers little-endian)
//
//     0            440       444     446                                   510
//     ├ boot code ─┼ disk id ┼ ───── ┼ 4 entries of 16 bytes ──────────────┼ 55 AA ┤
//
//     an entry:  0       1           4      5         8            12
//                ├ boot ─┼ first CHS ┼ type ┼ last CHS ┼ first sector ┼ sectors ┤

/// <summary>A boot record, seen in the 512 bytes that it lies in.</summary>
internal readonly ref struct BootRecord(ReadOnlySpan<byte> sector)
{
    public const int Size = 512;
    public const int EntryCount = 4;
    private const int FirstEntry = 446;

    private readonly ReadOnlySpan<byte> _sector = sector[..Size];

    /// <summary>Whether it ends as a boot record ends.</summary>
    public bool HasMark => _sector[510] == 0x55 && _sector[511] == 0xAA;

    public uint DiskId => ReadUInt32LittleEndian(_sector[440..]);

    /// <summary>One of the four entries.</summary>
    public BootRecordEntry this[int index] => BootRecordEntry.Read(_sector.Slice(Place(index), BootRecordEntry.Size));

    /// <summary>Where an entry lies in the sector.</summary>
    public static int Place(int index) => FirstEntry + (index * BootRecordEntry.Size);

    /// <summary>The place of the entry that guards a GUID partition table; -1 when there is none.</summary>
    public int ProtectiveEntry()
    {
        for (int index = 0; HasMark && index < EntryCount; index++)
        {
            if (this[index] is { Type: BootRecordEntry.Protective, IsEmpty: false })
            {
                return index;
            }
        }

        return -1;
    }

    /// <summary>
    /// Whether it can be a partition table at all: boot sectors of file systems end with the same mark, and have program text where the
    /// entries would be, or zeros, or a partition that begins with the sector itself.
    /// </summary>
    /// <param name="sectors">How many sectors the disk has.</param>
    public bool IsTable(long sectors)
    {
        bool any = false;
        for (int index = 0; index < EntryCount; index++)
        {
            BootRecordEntry entry = this[index];
            if (entry.Status is not (0 or BootRecordEntry.Active) || (!entry.IsEmpty && (entry.First == 0 || entry.First >= sectors)))
            {
                return false;
            }

            any |= !entry.IsEmpty;
        }

        return any && HasMark;
    }
}

/// <summary>One entry of a boot record.</summary>
/// <param name="Status">0x80 when the machine starts from it.</param>
/// <param name="Type">What it holds.</param>
/// <param name="First">Its first sector; of a logical partition counted from its boot record, of a link from the start of the extended partition.</param>
/// <param name="Count">Sectors.</param>
internal readonly record struct BootRecordEntry(byte Status, byte Type, uint First, uint Count)
{
    public const int Size = 16;
    public const byte Active = 0x80;
    public const byte Protective = 0xEE;

    /// <summary>Whether nobody uses it.</summary>
    public bool IsEmpty => Type == 0 || Count == 0;

    /// <summary>Whether it holds further boot records and not data.</summary>
    public bool IsExtended => Type is 0x05 or 0x0F or 0x85;

    public static BootRecordEntry Read(ReadOnlySpan<byte> entry) =>
        new(entry[0], entry[4], ReadUInt32LittleEndian(entry[8..]), ReadUInt32LittleEndian(entry[12..]));

    /// <summary>Gives an entry another length: the count of sectors, and where it ends in cylinders, heads and sectors.</summary>
    /// <param name="entry">The 16 bytes, changed in place.</param>
    /// <param name="count">Sectors.</param>
    /// <param name="absoluteFirst">Its first sector, counted from the start of the disk.</param>
    public static void Resize(Span<byte> entry, uint count, long absoluteFirst)
    {
        WriteUInt32LittleEndian(entry[12..], count);
        WriteChs(entry[5..8], absoluteFirst + count - 1, entry[4] == Protective);
    }

    /// <summary>A place as 255 heads of 63 sectors have it; what lies beyond them is marked so. (§5.2.3 has all ones for a protective entry)</summary>
    private static void WriteChs(Span<byte> chs, long lba, bool isProtective)
    {
        long cylinder = lba / (255 * 63);
        if (cylinder > 1023)
        {
            ReadOnlySpan<byte> beyond = isProtective ? [0xFF, 0xFF, 0xFF] : [0xFE, 0xFF, 0xFF];
            beyond.CopyTo(chs);
            return;
        }

        chs[0] = (byte)(lba / 63 % 255);
        chs[1] = (byte)((lba % 63 + 1) | ((cylinder >> 8) << 6));
        chs[2] = (byte)(cylinder & 0xFF);
    }
}
