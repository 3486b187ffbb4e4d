using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs;

/// <summary>Where things are in one file system: the superblock's numbers after each was held against the others and the volume.</summary>
internal sealed class Layout
{
    public const int MostBlockSize = 65536;
    private const int LeastGroupBlocks = 64;
    private const int MostSectorSize = 32768;

    /// <summary>Bytes of a log's basic block, whatever the sectors.</summary>
    public const int BasicBlock = 512;

    private Layout(Superblock superblock)
    {
        BlockSize = (int)superblock.BlockSize;
        SectorSize = superblock.SectorSize;
        Blocks = (long)superblock.Blocks;
        GroupBlocks = superblock.GroupBlocks;
        Groups = (int)superblock.Groups;
        GroupBlockLog = superblock.GroupBlockLog;
        HasChecksums = superblock.Version == 5;
        ReadOnlyCompatible = superblock.ReadOnlyCompatible;
        Uuid = superblock.Uuid.ToArray();
        MetaUuid = superblock.MetaUuid.ToArray();
        FreeBlocks = superblock.FreeBlocks;
    }

    public int BlockSize { get; }

    public int SectorSize { get; }

    public long Blocks { get; }

    /// <summary>Blocks of every group but the last, which may be shorter.</summary>
    public long GroupBlocks { get; }

    public int Groups { get; }

    /// <summary>How many of a block number's lowest bits count inside a group; the others are the group's number.</summary>
    public int GroupBlockLog { get; }

    /// <summary>Version 5: metadata carry a checksum, their place and the file system's identifier.</summary>
    public bool HasChecksums { get; }

    public ReadOnlyCompatibleFeatures ReadOnlyCompatible { get; }

    public byte[] Uuid { get; }

    public byte[] MetaUuid { get; }

    /// <summary>The free blocks that the superblock states: right after an orderly unmount, else any number.</summary>
    public ulong FreeBlocks { get; }

    /// <summary>The block of the volume at which the log begins.</summary>
    public long LogBlock { get; private init; }

    public long LogBlocks { get; private init; }

    public long Length => Blocks * BlockSize;

    /// <summary>Blocks at the start of a group that hold its four headers, a sector each.</summary>
    public long HeaderBlocks => ((4L * SectorSize) + BlockSize - 1) / BlockSize;

    public long FirstBlockOf(int group) => group * GroupBlocks;

    /// <summary>The block of the volume that a run in one group begins at, of which files and trees speak as group and block in one number.</summary>
    /// <param name="number">Group and block.</param>
    /// <param name="count">How many blocks follow one another from there.</param>
    /// <returns>Null when it is not wholly inside one group.</returns>
    public long? Find(ulong number, long count)
    {
        ulong group = number >> GroupBlockLog;
        ulong block = number & ((1UL << GroupBlockLog) - 1);
        return group < (ulong)Groups && count > 0 && block < (ulong)BlocksIn((int)group) && count <= BlocksIn((int)group) - (long)block ? FirstBlockOf((int)group) + (long)block : null;
    }

    public long BlocksIn(int group) => group == Groups - 1 ? Blocks - (GroupBlocks * (Groups - 1L)) : GroupBlocks;

    /// <summary>Checks everything that later steps compute or allocate with.</summary>
    /// <exception cref="InDoubtException">A number is impossible, or a feature is not known here.</exception>
    public static Layout From(Superblock superblock, long volumeLength)
    {
        RequireSizes(superblock);
        RequireFeatures(superblock);
        RequireGroups(superblock, volumeLength);
        (long logBlock, long logBlocks) = Log(superblock);
        return new Layout(superblock) { LogBlock = logBlock, LogBlocks = logBlocks };
    }

    private static void RequireSizes(Superblock superblock)
    {
        uint block = superblock.BlockSize;
        uint sector = superblock.SectorSize;
        Unless(superblock.Version is 4 or 5, $"the XFS superblock is of version {superblock.Version}, which is not known here");
        Unless(block is >= 512 and <= MostBlockSize && superblock.BlockLog < 32 && block == 1u << superblock.BlockLog, $"the XFS superblock states a block size of {block}");
        bool sectorIsRight = sector is >= 512 and <= MostSectorSize && sector <= block && superblock.SectorLog < 32 && sector == 1u << superblock.SectorLog;
        Unless(sectorIsRight, $"the XFS superblock states sectors of {sector} bytes");
    }

    private static void RequireFeatures(Superblock superblock)
    {
        VersionBits version = superblock.VersionBits & ~VersionBits.Known;
        Unless(version == 0, $"the XFS file system has a feature not known here (version bits 0x{(uint)version:x})");
        ReadOnlyCompatibleFeatures readOnly = superblock.ReadOnlyCompatible & ~ReadOnlyCompatibleFeatures.Known;
        Unless(readOnly == 0, $"the XFS file system has a read-only compatible feature not known here (bits 0x{(uint)readOnly:x})");
        IncompatibleFeatures incompatible = superblock.Incompatible & ~IncompatibleFeatures.Known;
        Unless(incompatible == 0, $"the XFS file system has an incompatible feature not known here (bits 0x{(uint)incompatible:x})");
        Unless((superblock.Incompatible & IncompatibleFeatures.NeedsRepair) == 0, "the XFS file system has noted that it needs a repair; run xfs_repair");
        Unless(!superblock.InProgress, "the XFS file system was never finished being made");
        Unless(superblock.RealtimeBlocks == 0, "the XFS file system has a realtime section, which is not on this volume or not mapped here");
    }

    private static void RequireGroups(Superblock superblock, long volumeLength)
    {
        ulong blocks = superblock.Blocks;
        ulong perGroup = superblock.GroupBlocks;
        ulong groups = superblock.Groups;
        ulong held = (ulong)volumeLength / superblock.BlockSize;
        Unless(blocks <= held, $"the XFS file system has {blocks} blocks; its volume holds only {held}");
        Unless(perGroup is >= LeastGroupBlocks and <= int.MaxValue, $"the XFS superblock states allocation groups of {perGroup} blocks");
        bool fits = groups is > 0 and <= int.MaxValue && (groups - 1) * perGroup < blocks && blocks <= groups * perGroup;
        Unless(fits, $"the XFS superblock states {groups} allocation groups of {perGroup} blocks for {blocks} blocks");
        Unless(blocks - ((groups - 1) * perGroup) >= LeastGroupBlocks, "the last XFS allocation group is too short");
        int log = superblock.GroupBlockLog;
        Unless(log is > 0 and < 32 && perGroup <= 1UL << log && perGroup > 1UL << (log - 1), $"the XFS superblock states a group size logarithm of {log} for {perGroup} blocks");
    }

    private static (long First, long Count) Log(Superblock superblock)
    {
        ulong start = superblock.LogStart;
        Unless(start != 0, "the XFS log is on another device, so nothing here says whether the free space is in order");
        ulong group = start >> superblock.GroupBlockLog;
        ulong inGroup = start & ((1UL << superblock.GroupBlockLog) - 1);
        ulong count = superblock.LogBlocks;
        bool inside = group < superblock.Groups && inGroup < superblock.GroupBlocks && count > 0 && inGroup + count <= superblock.GroupBlocks
            && (group * superblock.GroupBlocks) + inGroup + count <= superblock.Blocks;
        Unless(inside, "the XFS log lies outside of an allocation group");
        long bytes = (long)count * superblock.BlockSize;
        Unless(bytes is >= 512 * BasicBlock and <= int.MaxValue, $"the XFS log has {bytes} bytes");
        return ((long)((group * superblock.GroupBlocks) + inGroup), (long)count);
    }
}
