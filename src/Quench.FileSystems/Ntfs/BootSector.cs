using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

// The boot sector; little-endian. Its backup is the sector after the last that it counts.
// (Linux include/uapi and fs/ntfs3/ntfs.h, struct NTFS_BOOT; Linux-NTFS documentation, "$Boot")
//
//     0x03  "NTFS    " ─ 0x0B  bytes per sector (2), sectors per cluster (1: a power of two, or 256 less its logarithm)
//     0x28  sectors (8) ─┬ cluster of $MFT (8) ─┬ cluster of $MFTMirr (8)
//     0x40  clusters per record (1, signed: below 0 the logarithm of its bytes) ─ 0x48  serial (8) ─ 0x1FE  55 AA
internal readonly ref struct BootSector(ReadOnlySpan<byte> bytes)
{
    public const int Size = 512;
    private const int MostClusterSize = 2 * 1024 * 1024;
    private const int ComparedWithBackup = 0x50;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public bool HasName => _bytes[3..11].SequenceEqual("NTFS    "u8) && _bytes[0x1FE] == 0x55 && _bytes[0x1FF] == 0xAA;

    public int SectorSize => ReadUInt16LittleEndian(_bytes[0x0B..]);

    public ulong Sectors => ReadUInt64LittleEndian(_bytes[0x28..]);

    public ulong Table => ReadUInt64LittleEndian(_bytes[0x30..]);

    public ulong Mirror => ReadUInt64LittleEndian(_bytes[0x38..]);

    public ulong Serial => ReadUInt64LittleEndian(_bytes[0x48..]);

    /// <summary>Bytes; 0 or something strange when the fields make no sense.</summary>
    public long ClusterSize
    {
        get
        {
            int stated = _bytes[0x0D];
            return (long)SectorSize * (stated <= 128 ? stated : stated >= 244 ? 1 << (256 - stated) : 0);
        }
    }

    /// <summary>Bytes of a record of the file table.</summary>
    public long RecordSize
    {
        get
        {
            sbyte stated = unchecked((sbyte)_bytes[0x40]);
            return stated > 0 ? stated * ClusterSize : stated >= -16 ? 1 << -stated : 0;
        }
    }

    public bool AgreesWith(BootSector backup) => _bytes[3..ComparedWithBackup].SequenceEqual(backup._bytes[3..ComparedWithBackup]);

    /// <summary>The facts as the boot sector states them, believable or not.</summary>
    public FileSystemFacts Facts()
    {
        UInt128 length = (UInt128)Sectors * (uint)SectorSize;
        int cluster = ClusterSize <= MostClusterSize ? (int)ClusterSize : 0;
        return new FileSystemFacts("ntfs", "", $"{Serial:X16}", cluster, length > long.MaxValue ? long.MaxValue : (long)length, FileSystemState.Clean);
    }

    /// <summary>Holds all numbers against each other and the volume.</summary>
    /// <exception cref="InDoubtException">Some are impossible.</exception>
    public void Check(long volumeLength)
    {
        long cluster = ClusterSize;
        Unless(SectorSize is 512 or 1024 or 2048 or 4096, $"the NTFS boot sector states sectors of {SectorSize} bytes");
        Unless(cluster >= SectorSize && cluster <= MostClusterSize && (cluster & (cluster - 1)) == 0, $"the NTFS boot sector states clusters of {cluster} bytes");
        Unless(RecordSize is 1024 or 2048 or 4096, $"the NTFS boot sector states records of {RecordSize} bytes");
        Unless(Sectors <= (ulong)(volumeLength / SectorSize), $"the NTFS file system has {Sectors} sectors of {SectorSize} bytes; its volume is shorter");
        ulong clusters = Sectors / ((ulong)cluster / (ulong)SectorSize);
        Unless(clusters > 0 && Table > 0 && Table < clusters && Mirror > 0 && Mirror < clusters, "the NTFS file table lies outside of the file system");
    }
}
