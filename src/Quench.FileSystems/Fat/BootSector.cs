using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Fat;

// The boot sector, or BIOS parameter block; little-endian. (Microsoft FAT specification, "BIOS Parameter Block")
//
//     0x00  jump (3), OEM name (8)
//     0x0B  bytes per sector (2), sectors per cluster (1), reserved sectors (2), FATs (1), root entries (2), sectors (2), media (1), FAT sectors (2)
//     0x18  sectors per track (2), heads (2), hidden sectors (4), sectors when the 16 bits above are 0 (4)
//     FAT12, FAT16   0x25 state, 0x26 signature 0x29, 0x27 volume id (4), 0x2B label (11)
//     FAT32          0x24 FAT sectors (4), 0x28 flags (2), version (2), 0x2C root cluster (4), 0x30 FSInfo sector (2), 0x32 backup sector (2),
//                    0x41 state, 0x42 signature 0x29, 0x43 volume id (4), 0x47 label (11)
//     0x1FE 55 AA
internal readonly ref struct BootSector(ReadOnlySpan<byte> bytes)
{
    public const int Size = 512;
    private const int LeastMedia = 0xF0;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public int SectorSize => ReadUInt16LittleEndian(_bytes[0x0B..]);

    public int SectorsPerCluster => _bytes[0x0D];

    public int ReservedSectors => ReadUInt16LittleEndian(_bytes[0x0E..]);

    public int Fats => _bytes[0x10];

    public int RootEntries => ReadUInt16LittleEndian(_bytes[0x11..]);

    public uint Sectors => ReadUInt16LittleEndian(_bytes[0x13..]) is > 0 and ushort few ? few : ReadUInt32LittleEndian(_bytes[0x20..]);

    public byte Media => _bytes[0x15];

    public bool Is32 => ReadUInt16LittleEndian(_bytes[0x16..]) == 0;

    public uint FatSectors => Is32 ? ReadUInt32LittleEndian(_bytes[0x24..]) : ReadUInt16LittleEndian(_bytes[0x16..]);

    /// <summary>FAT32: with bit 7 only the FAT that the lowest four bits name is kept.</summary>
    public int Flags => Is32 ? ReadUInt16LittleEndian(_bytes[0x28..]) : 0;

    public int Version => Is32 ? ReadUInt16LittleEndian(_bytes[0x2A..]) : 0;

    public uint RootCluster => Is32 ? ReadUInt32LittleEndian(_bytes[0x2C..]) : 0;

    public int BackupSector => Is32 ? ReadUInt16LittleEndian(_bytes[0x32..]) : 0;

    /// <summary>Whether Windows or Linux has the volume mounted, or did not let go of it in order.</summary>
    public bool IsMarked => (State & 1) != 0;

    /// <summary>Whether the disk had errors, so that all of it is to be read.</summary>
    public bool HadErrors => (State & 2) != 0;

    private byte State => _bytes[Is32 ? 0x41 : 0x25];

    private bool HasNames => _bytes[Is32 ? 0x42 : 0x26] == 0x29;

    public uint VolumeId => HasNames ? ReadUInt32LittleEndian(_bytes[(Is32 ? 0x43 : 0x27)..]) : 0;

    public ReadOnlySpan<byte> Label => HasNames ? _bytes.Slice(Is32 ? 0x47 : 0x2B, 11) : default;

    /// <summary>What the backup of a boot sector must have in common with it: sizes and places, but not where the partition lies.</summary>
    public bool AgreesWith(BootSector backup) =>
        _bytes[0x0B..0x1C].SequenceEqual(backup._bytes[0x0B..0x1C]) && _bytes[0x20..0x34].SequenceEqual(backup._bytes[0x20..0x34]);

    /// <summary>Whether this is a boot sector of FAT at all: others end in 55 AA too.</summary>
    public bool IsPlausible()
    {
        bool sizes = SectorSize is 512 or 1024 or 2048 or 4096 && SectorsPerCluster > 0 && (SectorsPerCluster & (SectorsPerCluster - 1)) == 0;
        bool counts = ReservedSectors > 0 && Fats is 1 or 2 && Sectors > 0 && FatSectors > 0 && (Is32 ? RootEntries == 0 : RootEntries > 0);
        return _bytes[0x1FE] == 0x55 && _bytes[0x1FF] == 0xAA && _bytes[0] is 0xEB or 0xE9 && sizes && counts && (Media == LeastMedia || Media >= 0xF8);
    }
}
