using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Xfs.Log;

// A record of the log: one basic block of header, in version 2 one more for every further 32 KiB that a record may have, then the data;
// big-endian, but for its checksum. (XFS Algorithms & Data Structures, "Journaling Log")
//
//     0x000  magic FEEDBABE ┬ cycle ────────┬ version ──────┬ len: bytes of data
//     0x010  lsn (8) ───────┼ tail_lsn (8) ─┼ crc ──────────┬ prev_block
//     0x028  num_logops ────┬ cycle_data (64 words: the first word of each basic block of data, which the round has taken the place of)
//     0x12C  fmt ───────────┬ fs_uuid (16) ─┬ size: the most bytes a record may have
//     extended header       cycle ┬ cycle_data (64 words)
internal readonly ref struct LogRecord(ReadOnlySpan<byte> bytes)
{
    public const uint ExpectedMagic = 0xFEEDBABE;

    /// <summary>Bytes of data and headers of the longest record.</summary>
    public const int MostBytes = MostData + (MostHeaders * Layout.BasicBlock);
    private const int MostData = 256 * 1024;
    private const int MostHeaders = MostData / BytesPerHeader;
    private const int BytesPerHeader = 64 * Layout.BasicBlock;
    private const int CycleData = 0x2C;
    private const int ChecksumOffset = 0x20;
    private const int LittleEndianItems = 1;
    private const int HeaderBytes = 0x148;
    private const int HeaderBytesOf32Bit = 0x144;
    private const int ExtendedHeaderBytes = 260;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public ulong TailLsn => ReadUInt64BigEndian(_bytes[0x18..]);

    public uint Operations => ReadUInt32BigEndian(_bytes[0x28..]);

    public bool HasLittleEndianItems => ReadUInt32BigEndian(_bytes[0x12C..]) == LittleEndianItems;

    private uint DataBytes => ReadUInt32BigEndian(_bytes[12..]);

    private int HeaderBlocks
    {
        get
        {
            uint size = ReadUInt32BigEndian(_bytes[0x140..]);
            return ReadUInt32BigEndian(_bytes[8..]) == 2 && size > BytesPerHeader ? (int)(((long)size + BytesPerHeader - 1) / BytesPerHeader) : 1;
        }
    }

    /// <summary>Basic blocks that the record takes.</summary>
    public int TotalBlocks => HeaderBlocks + (int)(((long)DataBytes + Layout.BasicBlock - 1) / Layout.BasicBlock);

    /// <summary>Whether its first basic block can be the header of a record at a place in the log.</summary>
    public bool IsHeader(long index, uint cycle, ReadOnlySpan<byte> uuid)
    {
        ulong lsn = ((ulong)cycle << 32) | (uint)index;
        return ReadUInt32BigEndian(_bytes) == ExpectedMagic && ReadUInt32BigEndian(_bytes[4..]) == cycle && ReadUInt32BigEndian(_bytes[8..]) is 1 or 2
            && ReadUInt64BigEndian(_bytes[16..]) == lsn && _bytes.Slice(0x130, 16).SequenceEqual(uuid)
            && DataBytes is > 0 and <= MostData && HeaderBlocks <= MostHeaders;
    }

    /// <summary>Whether the whole record is as it was written. The tools that make and repair file systems write none: 0.</summary>
    public bool HasRightChecksum()
    {
        uint stated = ReadUInt32LittleEndian(_bytes[ChecksumOffset..]);
        return stated == 0 || stated == Checksum(HeaderBytes) || stated == Checksum(HeaderBytesOf32Bit);
    }

    /// <summary>The data with the first words of its basic blocks put back.</summary>
    public byte[] Data()
    {
        byte[] data = _bytes.Slice(HeaderBlocks * Layout.BasicBlock, (int)DataBytes).ToArray();
        for (int block = 0; block * Layout.BasicBlock < data.Length; block++)
        {
            int header = block / 64;
            int words = header == 0 ? CycleData : (header * Layout.BasicBlock) + sizeof(uint);
            ReadOnlySpan<byte> word = _bytes.Slice(words + (block % 64 * sizeof(uint)), sizeof(uint));
            Span<byte> place = data.AsSpan(block * Layout.BasicBlock);
            word[..Math.Min(word.Length, place.Length)].CopyTo(place);
        }

        return data;
    }

    private uint Checksum(int headerBytes)
    {
        uint crc = Crc32c.Append(uint.MaxValue, _bytes[..ChecksumOffset]);
        crc = Crc32c.Append(crc, [0, 0, 0, 0]);
        crc = Crc32c.Append(crc, _bytes[(ChecksumOffset + sizeof(uint))..headerBytes]);
        for (int header = 1; header < HeaderBlocks; header++)
        {
            crc = Crc32c.Append(crc, _bytes.Slice(header * Layout.BasicBlock, ExtendedHeaderBytes));
        }

        return ~Crc32c.Append(crc, _bytes.Slice(HeaderBlocks * Layout.BasicBlock, (int)DataBytes));
    }
}
