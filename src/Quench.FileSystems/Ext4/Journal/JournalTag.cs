using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Ext4.Journal;

// One entry of a descriptor block: which block of the file system the next block of the log is a copy of; big-endian.
// (Linux Documentation/filesystems/ext4, "Journal (jbd2)", descriptor block)
//
//     checksum v3   ├ block_lo (4) ┼ flags (4) ┼ block_hi (4) ┼ checksum (4) ┤
//     otherwise     ├ block_lo (4) ┼ checksum (2) ┼ flags (2) ┼ block_hi (4, with 64-bit numbers) ┼ 2 bytes more with checksum v2 ┤
//     then          ├ uuid (16), unless the flags say it is the same as before ┤
internal readonly ref struct JournalTag(ReadOnlySpan<byte> bytes, JournalFeatures features)
{
    private const uint EscapedFlag = 0x1;
    private const uint SameUuidFlag = 0x2;
    private const uint LastFlag = 0x8;
    private const int UuidSize = 16;
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private readonly JournalFeatures _features = features;

    /// <summary>Bytes of a tag without its UUID.</summary>
    public static int SizeUnder(JournalFeatures features)
    {
        if ((features & JournalFeatures.ChecksumV3) != 0)
        {
            return 16;
        }

        return 8 + ((features & JournalFeatures.SixtyFourBit) != 0 ? 4 : 0) + ((features & JournalFeatures.ChecksumV2) != 0 ? 2 : 0);
    }

    public ulong Block => ReadUInt32BigEndian(_bytes) | ((_features & JournalFeatures.SixtyFourBit) != 0 ? (ulong)ReadUInt32BigEndian(_bytes[8..]) << 32 : 0);

    public bool IsEscaped => (Flags & EscapedFlag) != 0;

    public bool IsLast => (Flags & LastFlag) != 0;

    /// <summary>Bytes from this tag to the next.</summary>
    public int Step => SizeUnder(_features) + ((Flags & SameUuidFlag) != 0 ? 0 : UuidSize);

    private uint Flags => IsThird ? ReadUInt32BigEndian(_bytes[4..]) : ReadUInt16BigEndian(_bytes[6..]);

    private bool IsThird => (_features & JournalFeatures.ChecksumV3) != 0;

    /// <summary>Whether the log's copy of the block, as it lies there before any unescaping, is the one that was written.</summary>
    public bool Matches(ReadOnlySpan<byte> copy, uint seed, uint sequence)
    {
        uint computed = Crc32c.Append(Checksums.Crc32cBigEndian(seed, sequence), copy);
        return IsThird ? ReadUInt32BigEndian(_bytes[12..]) == computed
            : (_features & JournalFeatures.ChecksumV2) == 0 || ReadUInt16BigEndian(_bytes[4..]) == (computed & 0xFFFF);
    }
}
