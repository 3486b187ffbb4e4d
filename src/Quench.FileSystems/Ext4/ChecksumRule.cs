using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>Which checksums a file system carries and what they start from.</summary>
internal sealed record ChecksumRule
{
    private readonly ushort _descriptorSeed;

    private ChecksumRule(bool metadata, bool descriptors, uint seed, ushort descriptorSeed)
    {
        Metadata = metadata;
        OldDescriptors = descriptors && !metadata;
        Seed = seed;
        _descriptorSeed = descriptorSeed;
    }

    /// <summary>metadata_csum: CRC-32C over everything.</summary>
    public bool Metadata { get; }

    /// <summary>gdt_csum, and not the newer one, which takes its place: CRC-16 over group descriptors.</summary>
    public bool OldDescriptors { get; }

    /// <summary>Whether a bitmap may be left unwritten: the flag that says so is trusted only under a checksum.</summary>
    public bool HonoursUninitialised => Metadata || OldDescriptors;

    /// <summary>What every CRC-32C but the superblock's starts from.</summary>
    public uint Seed { get; }

    /// <summary>Reads the rule and checks the superblock by it.</summary>
    /// <exception cref="InDoubtException">The superblock's checksum is wrong or of an unknown kind.</exception>
    public static ChecksumRule From(Superblock superblock)
    {
        bool metadata = superblock.Has(ReadOnlyCompatibleFeatures.MetadataChecksums);
        if (metadata)
        {
            Unless(superblock.ChecksumType == Superblock.Crc32cType, $"the ext4 superblock names checksums of type {superblock.ChecksumType}, which is not known here");
            Unless(superblock.Checksum == superblock.ComputedChecksum, "the ext4 superblock does not match its checksum");
        }

        bool stored = superblock.Has(IncompatibleFeatures.ChecksumSeed);
        return new ChecksumRule(
            metadata,
            superblock.Has(ReadOnlyCompatibleFeatures.DescriptorChecksums),
            stored ? superblock.ChecksumSeed : Crc32c.Append(uint.MaxValue, superblock.Uuid),
            Checksums.Crc16(ushort.MaxValue, superblock.Uuid));
    }

    /// <summary>Checks a group descriptor.</summary>
    /// <exception cref="InDoubtException">Its checksum is wrong.</exception>
    public void Check(GroupDescriptor descriptor, int group)
    {
        bool right = Metadata ? descriptor.Checksum == descriptor.ComputeCrc32c(Seed, (uint)group)
            : !OldDescriptors || descriptor.Checksum == descriptor.ComputeCrc16(_descriptorSeed, (uint)group);
        Unless(right, $"the descriptor of ext4 block group {group} does not match its checksum");
    }
}
