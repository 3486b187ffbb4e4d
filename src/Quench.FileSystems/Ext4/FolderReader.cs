using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

// A block of a folder: entries one behind the other. (Linux Documentation/filesystems/ext4, "Directory Entries")
//
//     ├ inode (4; 0: unused) ┼ length of the entry (2) ┼ length of the name (1) ┼ kind (1; without filetype the name's length has both bytes) ┼ name … ┤
//
// With metadata checksums the last twelve bytes look like an unused entry: 0 (4) ┼ 12 (2) ┼ 0 (1) ┼ 0xDE (1) ┼ checksum (4). A hashed folder's blocks of hashes look like blocks with one unused
// entry, the first of them like one with "." and ".." alone, and have their checksums elsewhere: no other name stands in them. So a folder is read as if it were not hashed.
//
// Inside an inode (inline_data): the parent (4), then entries in the other 56 bytes of the block field, and more in the attribute "system.data".

/// <summary>Reads the names in folders, in the order in which they lie there.</summary>
internal sealed class FolderReader(InodeReader reader, bool hasKinds)
{
    private const int EntryHeader = 8;
    private const int TailSize = 12;
    private const byte TailKind = 0xDE;
    private const uint AttributesMagic = 0xEA020000;
    private const byte SystemIndex = 7;

    /// <summary>Reads all names but "." and "..".</summary>
    /// <param name="number">The folder's inode.</param>
    /// <param name="inode">Its bytes.</param>
    /// <param name="seed">What the checksums of its blocks start from.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">It is damaged.</exception>
    public async IAsyncEnumerable<FolderEntry> ReadAsync(
        uint number, byte[] inode, uint seed, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if ((new Inode(inode).Flags & InodeFlags.InlineData) != 0)
        {
            foreach (FolderEntry entry in ReadInline(inode, number))
            {
                yield return entry;
            }

            yield break;
        }

        ulong length = new Inode(inode).Size / (uint)reader.Layout.BlockSize;
        foreach (DataRun run in await DataRuns.ReadAsync(reader, inode, seed, $"ext4 inode {number}", cancellationToken))
        {
            for (long index = 0; index < run.Count && (ulong)(run.Position + index) < length; index++)
            {
                byte[] bytes = await reader.ReadBlockAsync((ulong)(run.Start + index), cancellationToken);
                foreach (FolderEntry entry in ReadBlock(bytes, seed, number))
                {
                    yield return entry;
                }
            }
        }
    }

    private List<FolderEntry> ReadBlock(ReadOnlySpan<byte> block, uint seed, uint number)
    {
        List<FolderEntry> entries = [];
        Parse(block, entries, number);
        Unless(
            !reader.Layout.Checksum.Metadata || entries.Count == 0 || HasChecksum(block, seed), $"a block of the folder that is ext4 inode {number} does not match its checksum");
        return entries;
    }

    private static bool HasChecksum(ReadOnlySpan<byte> block, uint seed)
    {
        ReadOnlySpan<byte> tail = block[^TailSize..];
        return ReadUInt32LittleEndian(tail) == 0 && ReadUInt16LittleEndian(tail[4..]) == TailSize && tail[6] == 0 && tail[7] == TailKind
            && ReadUInt32LittleEndian(tail[8..]) == Crc32c.Append(seed, block[..^TailSize]);
    }

    private void Parse(ReadOnlySpan<byte> bytes, List<FolderEntry> into, uint number)
    {
        for (int at = 0; at < bytes.Length;)
        {
            bool fits = at + EntryHeader <= bytes.Length;
            int length = fits ? EntryLength(ReadUInt16LittleEndian(bytes[(at + 4)..]), bytes.Length) : 0;
            uint inode = fits ? ReadUInt32LittleEndian(bytes[at..]) : 0;
            int name = inode == 0 ? 0 : hasKinds ? bytes[at + 6] : ReadUInt16LittleEndian(bytes[(at + 6)..]); // what says it of an unused entry means nothing
            Unless(fits && length >= EntryHeader && length % 4 == 0 && length <= bytes.Length - at && name <= length - EntryHeader, $"the folder that is ext4 inode {number} is damaged");
            ReadOnlySpan<byte> text = bytes.Slice(at + EntryHeader, name);
            if (inode != 0 && !text.SequenceEqual("."u8) && !text.SequenceEqual(".."u8))
            {
                Unless(name > 0 && !text.ContainsAny((byte)'/', (byte)0), $"the folder that is ext4 inode {number} has a name that can't be");
                EntryKind kind = hasKinds ? (EntryKind)bytes[at + 7] : EntryKind.Unknown;
                into.Add(new FolderEntry(Encoding.UTF8.GetString(text), inode, kind, IgnoresCase: false));
            }

            at += length;
        }
    }

    /// <summary>Blocks of 64 KiB do not fit sixteen bits.</summary>
    private static int EntryLength(int stated, int room) =>
        room < 65536 ? stated : stated is 0 or 65535 ? 65536 : (stated & 65532) | ((stated & 3) << 16);

    private List<FolderEntry> ReadInline(ReadOnlySpan<byte> inode, uint number)
    {
        List<FolderEntry> entries = [];
        Parse(new Inode(inode).BlockField[4..], entries, number);
        Parse(InlineRest(inode, number), entries, number);
        return entries;
    }

    // Attributes in the inode: magic (4), then entries until one begins with four bytes of 0; offsets count from the first entry. (Extended Attributes)
    //
    //     ├ length of the name (1) ┼ index (1; 7: "system.") ┼ offset of the value (2) ┼ inode of the value (4) ┼ length of the value (4) ┼ hash (4) ┼ name, filled up to four ┤
    private static ReadOnlySpan<byte> InlineRest(ReadOnlySpan<byte> inode, uint number)
    {
        ReadOnlySpan<byte> area = inode[new Inode(inode).AttributesOffset..];
        if (area.Length < 8 || ReadUInt32LittleEndian(area) != AttributesMagic)
        {
            return [];
        }

        area = area[4..];
        for (int at = 0; at + 16 <= area.Length && ReadUInt32LittleEndian(area[at..]) != 0;)
        {
            int name = area[at];
            Unless(at + 16 + name <= area.Length, $"the attributes of ext4 inode {number} are damaged");
            if (area[at + 1] == SystemIndex && area.Slice(at + 16, name).SequenceEqual("data"u8))
            {
                int offset = ReadUInt16LittleEndian(area[(at + 2)..]);
                uint length = ReadUInt32LittleEndian(area[(at + 8)..]);
                Unless(ReadUInt32LittleEndian(area[(at + 4)..]) == 0 && offset + (long)length <= area.Length, $"the attributes of ext4 inode {number} are damaged");
                return area.Slice(offset, (int)length);
            }

            at += 16 + ((name + 3) / 4 * 4);
        }

        return [];
    }
}
