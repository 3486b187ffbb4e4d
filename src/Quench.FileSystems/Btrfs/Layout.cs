using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Btrfs;

/// <summary>The superblock's numbers after each was held against the others and the volume.</summary>
internal sealed class Layout
{
    public const int MostNodeSize = 65536;

    /// <summary>Levels that a tree has at most.</summary>
    public const int MostLevels = 8;

    /// <summary>No place and no length is beyond it, so that two of them can be added.</summary>
    public const long MostPlace = 1L << 61;
    private const int LeastSectorSize = 4096;

    private Layout(Superblock superblock, byte[] systemChunks)
    {
        SectorSize = (int)superblock.SectorSize;
        NodeSize = (int)superblock.NodeSize;
        Checksum = superblock.Checksum;
        MetadataUuid = superblock.MetadataUuid.ToArray();
        DeviceId = superblock.DeviceId;
        DeviceUuid = superblock.DeviceUuid.ToArray();
        DeviceLength = (long)superblock.DeviceLength;
        BytesUsed = superblock.BytesUsed;
        HasBlockGroupTree = (superblock.ReadOnlyCompatible & ReadOnlyCompatibleFeatures.BlockGroupTree) != 0;
        SystemChunks = systemChunks;
        RootTree = new TreeRoot(TreeId.Roots, superblock.RootTree, superblock.RootTreeLevel, superblock.Generation);
        ChunkTree = new TreeRoot(TreeId.Chunks, superblock.ChunkTree, superblock.ChunkTreeLevel, superblock.ChunkTreeGeneration);
        LogTree = superblock.LogTree == 0 ? null : new TreeRoot(TreeId.Log, superblock.LogTree, superblock.LogTreeLevel, superblock.Generation + 1);
    }

    /// <summary>Bytes of the unit in which data are allocated, and in which the map speaks.</summary>
    public int SectorSize { get; }

    /// <summary>Bytes of a tree block.</summary>
    public int NodeSize { get; }

    public ChecksumKind Checksum { get; }

    public byte[] MetadataUuid { get; }

    public ulong DeviceId { get; }

    public byte[] DeviceUuid { get; }

    public long DeviceLength { get; }

    public ulong BytesUsed { get; }

    public bool HasBlockGroupTree { get; }

    public byte[] SystemChunks { get; }

    public TreeRoot RootTree { get; }

    public TreeRoot ChunkTree { get; }

    /// <summary>The tree of the logs' roots, written for the generation that was never finished; null when nothing was logged since the last one.</summary>
    public TreeRoot? LogTree { get; }

    /// <summary>Checks everything that later steps compute or allocate with.</summary>
    /// <exception cref="InDoubtException">A number is impossible, or a feature is not known here.</exception>
    public static Layout From(Superblock superblock, long volumeLength)
    {
        RequireChecksum(superblock);
        RequireFeatures(superblock);
        RequireSizes(superblock);
        RequireDevice(superblock, volumeLength);
        bool levels = superblock.RootTreeLevel < MostLevels && superblock.ChunkTreeLevel < MostLevels && superblock.LogTreeLevel < MostLevels;
        Unless(levels && superblock.Generation < ulong.MaxValue, "the btrfs superblock states trees of impossible height or age");
        byte[]? systemChunks = superblock.SystemChunks();
        Unless(systemChunks is not null, "the btrfs superblock states more system chunks than it has room for");
        return new Layout(superblock, systemChunks!);
    }

    private static void RequireChecksum(Superblock superblock)
    {
        Unless(
            BlockChecksum.IsKnown(superblock.Checksum),
            $"the btrfs file system's checksums are of kind {superblock.Checksum}, which is not computed here, so that nothing vouches for what its trees say");
        Unless(superblock.HasRightChecksum && superblock.Place == Superblock.Places[0], "the btrfs superblock does not match its checksum or its place; `btrfs rescue super-recover` takes a copy of it");
    }

    private static void RequireFeatures(Superblock superblock)
    {
        IncompatibleFeatures incompatible = superblock.Incompatible & ~IncompatibleFeatures.Known;
        Unless(incompatible == 0, $"the btrfs file system has an incompatible feature not known here (bits 0x{(ulong)incompatible:x})");
        ReadOnlyCompatibleFeatures readOnly = superblock.ReadOnlyCompatible & ~ReadOnlyCompatibleFeatures.Known;
        Unless(readOnly == 0, $"the btrfs file system has a read-only compatible feature not known here (bits 0x{(ulong)readOnly:x})");
        SuperblockFlags flags = superblock.Flags & ~SuperblockFlags.Known;
        Unless(flags == 0, $"the btrfs file system is being converted, or is a dump of metadata alone (flags 0x{(ulong)flags:x})");
        Unless((superblock.Flags & SuperblockFlags.Error) == 0, "the btrfs file system has noted errors; run btrfs check");
    }

    private static void RequireSizes(Superblock superblock)
    {
        uint sector = superblock.SectorSize;
        uint node = superblock.NodeSize;
        bool possible = sector is >= LeastSectorSize and <= MostNodeSize && uint.IsPow2(sector) && node >= sector && node <= MostNodeSize && uint.IsPow2(node);
        Unless(possible, $"the btrfs superblock states sectors of {sector} and tree blocks of {node} bytes");
    }

    private static void RequireDevice(Superblock superblock, long volumeLength)
    {
        Unless(superblock.Devices == 1, $"the btrfs file system lies on {superblock.Devices} devices, of which this is one: only the trees on all of them say what is in use");
        Unless(superblock.DeviceFileSystem.SequenceEqual(superblock.MetadataUuid), "the btrfs superblock names a device of another file system");
        Unless(
            superblock.DeviceLength <= (ulong)volumeLength && superblock.DeviceLength >= (ulong)Superblock.Places[0] + Superblock.Size,
            $"the btrfs file system takes {superblock.DeviceLength} bytes; its volume has {volumeLength}");
    }
}
