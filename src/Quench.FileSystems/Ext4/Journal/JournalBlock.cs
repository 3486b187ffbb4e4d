using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Ext4.Journal;

/// <summary>What a block of the log is.</summary>
internal enum JournalBlockType : uint
{
    Descriptor = 1,
    Commit = 2,
    FirstSuperblock = 3,
    SecondSuperblock = 4,
    Revoke = 5,
}

// Every block of the log that is not a copy of a file system's block begins so; big-endian.
// (Linux Documentation/filesystems/ext4, "Journal (jbd2)": block header, descriptor block, revocation block, commit block)
//
//     all         ├ magic (4) ┼ type (4) ┼ sequence (4) ┤
//     descriptor  ├ header ┼ tags … ┼ checksum (4, at the block's end) ┤
//     revocation  ├ header ┼ bytes used, header included (4) ┼ block numbers of 4 or 8 bytes … ┼ checksum (4, at the block's end) ┤
//     commit      ├ header ┼ checksum type (1) ┼ checksum size (1) ┼ 0 (2) ┼ checksum (4) ┼ … ┤
internal readonly ref struct JournalBlock(ReadOnlySpan<byte> bytes)
{
    public const uint ExpectedMagic = 0xC03B3998;
    public const int HeaderSize = 12;
    public const int TailSize = 4;

    private const int CommitChecksumOffset = 16;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public uint Magic => ReadUInt32BigEndian(_bytes);

    public JournalBlockType Type => (JournalBlockType)ReadUInt32BigEndian(_bytes[4..]);

    public uint Sequence => ReadUInt32BigEndian(_bytes[8..]);

    /// <summary>In a revocation block: bytes used from its start.</summary>
    public uint RevokeBytes => ReadUInt32BigEndian(_bytes[HeaderSize..]);

    /// <summary>Whether the checksum at the end of a descriptor or revocation block is right.</summary>
    public bool HasTailChecksum(uint seed) => HasChecksumAt(_bytes.Length - TailSize, seed);

    /// <summary>Whether the checksum of a commit block is right.</summary>
    public bool HasCommitChecksum(uint seed) => HasChecksumAt(CommitChecksumOffset, seed);

    private bool HasChecksumAt(int offset, uint seed)
    {
        uint crc = Crc32c.Append(seed, _bytes[..offset]);
        crc = Checksums.Crc32cLittleEndian(crc, 0);
        return ReadUInt32BigEndian(_bytes[offset..]) == Crc32c.Append(crc, _bytes[(offset + 4)..]);
    }
}
