using System.Text;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Fat;

/// <summary>Where things are on one volume, after each number was held against the others and the volume.</summary>
internal sealed class Layout
{
    private const int EntrySize = 32;
    private const long MostClusters12 = 4084;
    private const long MostClusters16 = 65524;
    private const long MostClusters32 = 0x0FFF_FFF5;

    private Layout(BootSector boot)
    {
        long rootSectors = ((boot.RootEntries * EntrySize) + boot.SectorSize - 1) / boot.SectorSize;
        SectorSize = boot.SectorSize;
        Sectors = boot.Sectors;
        ClusterSize = boot.SectorSize * boot.SectorsPerCluster;
        FatOffset = (long)boot.ReservedSectors * SectorSize;
        FatLength = (long)boot.FatSectors * SectorSize;
        Fats = boot.Fats;
        HeapOffset = FatOffset + (Fats * FatLength) + (rootSectors * SectorSize);
        Clusters = Math.Max(0, ((Sectors * SectorSize) - HeapOffset) / ClusterSize);
        EntryBits = boot.Is32 ? 32 : Clusters > MostClusters12 ? 16 : 12;
        RootCluster = boot.RootCluster;
        BackupOffset = (long)boot.BackupSector * SectorSize;
        Media = boot.Media;
    }

    public int SectorSize { get; }

    public long Sectors { get; }

    public int ClusterSize { get; }

    public long FatOffset { get; }

    public long FatLength { get; }

    public int Fats { get; }

    /// <summary>The first byte of the first cluster, which has the number 2.</summary>
    public long HeapOffset { get; }

    public long Clusters { get; }

    /// <summary>Bits of an entry: 12, 16 or 32, of which 28 count.</summary>
    public int EntryBits { get; }

    public uint RootCluster { get; }

    /// <summary>Where FAT32 keeps a copy of the boot sector; 0 when it does not.</summary>
    public long BackupOffset { get; }

    public byte Media { get; }

    public long Length => Sectors * SectorSize;

    /// <summary>The value above which an entry names no cluster but marks a bad one or the end of a file.</summary>
    public uint Bad => EntryBits switch { 12 => 0xFF7, 16 => 0xFFF7, _ => 0x0FFF_FFF7 };

    /// <summary>The facts as the boot sector states them.</summary>
    public FileSystemFacts Facts(BootSector boot)
    {
        string label = boot.Label.ContainsAnyExcept((byte)0) ? Encoding.Latin1.GetString(boot.Label).TrimEnd(' ', '\0') : "";
        string id = boot.VolumeId == 0 ? "" : $"{boot.VolumeId >> 16:X4}-{boot.VolumeId & 0xFFFF:X4}";
        string type = EntryBits switch { 12 => "fat12", 16 => "fat16", _ => "fat32" };
        return new FileSystemFacts(type, label == "NO NAME" ? "" : label, id, ClusterSize, Length, FileSystemState.Clean);
    }

    /// <summary>Computes the layout of a plausible boot sector; nothing is believed of it yet.</summary>
    public static Layout From(BootSector boot) => new(boot);

    /// <summary>Holds all numbers against each other.</summary>
    /// <exception cref="InDoubtException">Some are impossible.</exception>
    public void Check(BootSector boot, long volumeLength)
    {
        Unless(Length <= volumeLength, $"the FAT file system has {Length} bytes; its volume holds only {volumeLength}");
        Unless(Clusters > 0, "the FAT file system has no room for a single cluster");
        Unless(boot.Is32 || Clusters <= MostClusters16, $"the FAT file system has {Clusters} clusters, too many for entries of 16 bits");
        Unless(Clusters <= MostClusters32, $"the FAT file system has {Clusters} clusters");
        Unless(FatLength * 8 >= (Clusters + 2) * EntryBits, $"the file allocation table is too short for {Clusters} clusters");
        Unless(boot.Version == 0, $"the FAT32 file system is of version {boot.Version:x}, which is not known here");
        Unless((boot.Flags & 0x80) == 0, "the FAT32 file system keeps only one of its allocation tables, which is not known here");
        Unless(BackupOffset < FatOffset, "the FAT32 boot sector's backup lies outside of the reserved sectors");
    }
}
