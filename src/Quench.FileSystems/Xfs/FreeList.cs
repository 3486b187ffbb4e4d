using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs;

// The free list of an allocation group ("AGFL"): its fourth sector, a ring of blocks set aside for the group's own trees to grow into. They are in no
// tree, and nobody reads one before it is written anew: they are free. (XFS Algorithms & Data Structures, "AG Free List")
//
//     version 5   magic "XAFL" ┬ seqno ┬ uuid (16) ┬ lsn (8) ┬ crc ┬ block numbers…    36 bytes before the first
//     version 4   block numbers…
internal readonly ref struct FreeList(ReadOnlySpan<byte> bytes, Layout layout, int group)
{
    private const uint ExpectedMagic = 0x5841464C;
    private const int HeaderSize = 36;
    private const int ChecksumOffset = 32;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <exception cref="InDoubtException">It is not this group's, or its checksum is wrong.</exception>
    public void Check()
    {
        if (layout.HasChecksums)
        {
            bool right = ReadUInt32BigEndian(_bytes) == ExpectedMagic && ReadUInt32BigEndian(_bytes[4..]) == group
                && _bytes.Slice(8, 16).SequenceEqual(layout.MetaUuid)
                && ReadUInt32LittleEndian(_bytes[ChecksumOffset..]) == Crc32c.OfStructure(_bytes, ChecksumOffset);
            Unless(right, $"the free list of XFS allocation group {group} does not match its checksum");
        }
    }

    /// <summary>The blocks on the list, as the group's header bounds it.</summary>
    /// <exception cref="InDoubtException">The bounds are impossible: kernels of different word sizes once disagreed about the ring's length.</exception>
    public uint[] Blocks(GroupHeader header)
    {
        ReadOnlySpan<byte> ring = _bytes[(layout.HasChecksums ? HeaderSize : 0)..];
        uint slots = (uint)(ring.Length / sizeof(uint));
        uint count = header.FreeListCount;
        bool inside = header.FreeListFirst < slots && header.FreeListLast < slots && count <= slots
            && (count == 0 || (header.FreeListLast + slots - header.FreeListFirst) % slots + 1 == count);
        Unless(inside, $"the free list of XFS allocation group {group} has impossible bounds");
        uint[] blocks = new uint[count];
        for (uint index = 0; index < count; index++)
        {
            uint slot = (header.FreeListFirst + index) % slots;
            blocks[index] = ReadUInt32BigEndian(ring[(int)(slot * sizeof(uint))..]);
        }

        return blocks;
    }
}
