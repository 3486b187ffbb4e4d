using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.ExFat;

// The main boot sector; little-endian. (Microsoft exFAT specification, section 3.1)
//
//     0x03  "EXFAT   " ──── 0x40  partition offset (8) ┬ volume length in sectors (8)
//     0x50  FAT offset ─────┬ FAT length ──┬ cluster heap offset ┬ cluster count      sectors
//     0x60  root cluster ───┬ serial ──────┬ revision (2), volume flags (2)
//     0x6C  bytes per sector shift, sectors per cluster shift, FATs, drive, percent in use (1 each)
//     0x1FE 55 AA
//
// Eleven sectors make the boot region; the twelfth repeats their checksum (section 3.4), and twelve more are its backup.
internal readonly ref struct BootSector(ReadOnlySpan<byte> bytes)
{
    public const int Size = 512;
    public const int RegionSectors = 12;
    private const int MostClusterShift = 25;
    private const uint MostClusters = 0xFFFF_FFF5;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public bool HasName => _bytes[3..11].SequenceEqual("EXFAT   "u8) && _bytes[0x1FE] == 0x55 && _bytes[0x1FF] == 0xAA;

    public ulong Sectors => ReadUInt64LittleEndian(_bytes[0x48..]);

    public uint FatOffset => ReadUInt32LittleEndian(_bytes[0x50..]);

    public uint FatLength => ReadUInt32LittleEndian(_bytes[0x54..]);

    public uint HeapOffset => ReadUInt32LittleEndian(_bytes[0x58..]);

    public uint Clusters => ReadUInt32LittleEndian(_bytes[0x5C..]);

    public uint RootCluster => ReadUInt32LittleEndian(_bytes[0x60..]);

    public uint Serial => ReadUInt32LittleEndian(_bytes[0x64..]);

    public ushort Revision => ReadUInt16LittleEndian(_bytes[0x68..]);

    /// <summary>Bit 0: the second FAT is the one in use; bit 1: not let go of in order; bit 2: the medium had errors.</summary>
    public ushort Flags => ReadUInt16LittleEndian(_bytes[0x6A..]);

    /// <summary>Whether it is mounted, or was not let go of in order.</summary>
    public bool IsMarked => (Flags & 2) != 0;

    /// <summary>Whether its disk had errors.</summary>
    public bool HadErrors => (Flags & 4) != 0;

    public byte SectorShift => _bytes[0x6C];

    public byte ClusterShift => _bytes[0x6D];

    public byte Fats => _bytes[0x6E];

    /// <summary>The facts as the boot sector states them, believable or not.</summary>
    public FileSystemFacts Facts()
    {
        bool shifts = SectorShift is >= 9 and <= 12 && ClusterShift <= MostClusterShift - SectorShift;
        UInt128 length = shifts ? (UInt128)Sectors << SectorShift : 0;
        return new FileSystemFacts(
            "exfat", "", $"{Serial >> 16:X4}-{Serial & 0xFFFF:X4}", shifts ? 1 << (SectorShift + ClusterShift) : 0,
            length > long.MaxValue ? long.MaxValue : (long)length, FileSystemState.Clean);
    }

    /// <summary>Holds all numbers against each other and the volume.</summary>
    /// <exception cref="InDoubtException">Some are impossible.</exception>
    public void Check(long volumeLength)
    {
        Unless(SectorShift is >= 9 and <= 12 && ClusterShift <= MostClusterShift - SectorShift, "the exFAT boot sector states impossible sectors or clusters");
        Unless(Revision >> 8 == 1, $"the exFAT file system is of revision {Revision >> 8}, which is not known here");
        Unless(Fats == 1 && (Flags & 1) == 0, "the exFAT file system has two allocation tables, which is not known here");
        Unless(!HadErrors, "the exFAT file system has noted errors of its disk; check it");
        Unless(Sectors <= (ulong)volumeLength >> SectorShift, $"the exFAT file system has {Sectors} sectors of {1 << SectorShift} bytes; its volume is shorter");
        Unless(Clusters is > 0 and <= MostClusters, $"the exFAT file system has {Clusters} clusters");
        bool fat = FatOffset >= 2 * RegionSectors && (long)FatOffset + FatLength <= HeapOffset && (long)FatLength << SectorShift >= (Clusters + 2L) * sizeof(uint);
        Unless(fat, "the exFAT allocation table is too short or not in its place");
        Unless(HeapOffset + ((long)Clusters << ClusterShift) <= (long)Sectors, "the exFAT clusters reach past the end of the file system");
    }

    /// <summary>The checksum over the boot region but for the fields that change while the volume is in use.</summary>
    public static uint RegionChecksum(ReadOnlySpan<byte> sectors)
    {
        uint sum = 0;
        for (int at = 0; at < sectors.Length; at++)
        {
            if (at is not (0x6A or 0x6B or 0x70))
            {
                sum = uint.RotateRight(sum, 1);
                sum = unchecked(sum + sectors[at]);
            }
        }

        return sum;
    }
}
