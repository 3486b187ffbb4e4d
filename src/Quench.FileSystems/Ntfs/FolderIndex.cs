using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

// A folder is a tree of names, "$I30". Its root lies in the record, other nodes in blocks of the attribute $INDEX_ALLOCATION. (Linux-NTFS documentation, "$INDEX_ROOT", "Index Record")
//
//     root     type of what is indexed (4: 0x30) ┼ … ┼ 0x08 bytes of a block (4) ┼ … ┼ 0x10 header
//     block    "INDX" ┼ fixups ┼ … ┼ 0x10 its own number (8) ┼ 0x18 header
//     header   offset of the first entry, from the header on (4) ┼ bytes in use, likewise (4) ┼ …
//     entry    reference (8) ┼ length (2) ┼ length of the name's structure (2) ┼ flags (2; 1: has a node below, 2: the last, without a name) ┼ … ┼ 0x10 name ┼ … ┼ last 8: the node below
//     name     reference of the folder (8) ┼ … ┼ 0x38 flags (4; 0x1000_0000: a folder) ┼ … ┼ 0x40 letters (1) ┼ namespace (1; 0: POSIX, 2: the short one for DOS) ┼ letters
//
// Blocks are counted in clusters, or in 512 bytes where a cluster is larger than a block.

/// <summary>Reads the names in a folder.</summary>
internal static class FolderIndex
{
    private const string Name = "$I30";
    private const uint RootType = 0x90;
    private const uint AllocationType = 0xA0;
    private const int RootHeader = 0x10;
    private const int BlockHeader = 0x18;
    private const int EntryHeader = 0x10;
    private const int NameHeader = 0x42;
    private const uint FolderFlag = 0x1000_0000;
    private const byte PosixNamespace = 0; // all others are names for Windows, whose case does not count
    private const byte DosNamespace = 2;

    /// <summary>Reads all names but those that are there for DOS only.</summary>
    /// <param name="records">Reads the volume.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="reference">Its own reference, which each name repeats.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">It is damaged.</exception>
    public static async ValueTask<IReadOnlyList<FolderEntry>> ReadAsync(NtfsRecords records, NtfsFile folder, ulong reference, CancellationToken cancellationToken)
    {
        byte[] root = FileRecord.Value(folder.Find(RootType, Name).FirstOrDefault() ?? []).ToArray();
        Unless(root.Length >= RootHeader + 0x10 && ReadUInt32LittleEndian(root) == FileRecord.FileName, "an NTFS folder has no index of names");
        long blockSize = ReadUInt32LittleEndian(root.AsSpan(8));
        Unless(blockSize is 512 or 1024 or 2048 or 4096 or 8192 or 16384 or 32768 or 65536, $"an NTFS folder has an index of blocks of {blockSize} bytes");
        RunList allocation = folder.RunsOf(AllocationType, Name, records.Clusters);
        long unit = records.ClusterSize > blockSize ? 512 : records.ClusterSize;
        List<FolderEntry> names = [];
        Stack<long> below = [];
        HashSet<long> met = [];
        Parse(root, RootHeader, reference, names, below);
        while (below.TryPop(out long number))
        {
            Unless(number >= 0 && number <= allocation.Length / unit && met.Add(number), "the index of an NTFS folder goes round in circles, or past its end");
            byte[] block = new byte[blockSize];
            await records.ReadBytesAsync(allocation, number * unit, block, "index", cancellationToken);
            FileRecord.Fix(block, "INDX"u8, "index block");
            Unless(ReadInt64LittleEndian(block.AsSpan(0x10)) == number, "a block of the index of an NTFS folder is another's");
            Parse(block, BlockHeader, reference, names, below);
        }

        return names;
    }

    private static void Parse(ReadOnlySpan<byte> node, int header, ulong folder, List<FolderEntry> names, Stack<long> below)
    {
        long at = header + (long)ReadUInt32LittleEndian(node[header..]);
        long end = header + (long)ReadUInt32LittleEndian(node[(header + 4)..]);
        Unless(end <= node.Length, "the index of an NTFS folder reaches past its end");
        for (bool isLast = false; !isLast;)
        {
            Unless(at + EntryHeader <= end, "the index of an NTFS folder has no last entry");
            ReadOnlySpan<byte> entry = node[(int)at..(int)end];
            int length = ReadUInt16LittleEndian(entry[8..]);
            int flags = ReadUInt16LittleEndian(entry[0x0C..]);
            isLast = (flags & 2) != 0;
            bool hasBelow = (flags & 1) != 0;
            Unless(length >= EntryHeader + (hasBelow ? 8 : 0) && length <= entry.Length, "an entry in the index of an NTFS folder is damaged");
            entry = entry[..length];
            if (!isLast)
            {
                Add(entry, ReadUInt16LittleEndian(entry[0x0A..]), folder, names);
            }

            if (hasBelow)
            {
                below.Push(ReadInt64LittleEndian(entry[^8..]));
            }

            at += length;
        }
    }

    private static void Add(ReadOnlySpan<byte> entry, int nameLength, ulong folder, List<FolderEntry> names)
    {
        Unless(nameLength >= NameHeader && EntryHeader + nameLength <= entry.Length, "a name in an NTFS folder is damaged");
        ReadOnlySpan<byte> name = entry.Slice(EntryHeader, nameLength);
        int letters = name[0x40] * 2;
        Unless(letters > 0 && NameHeader + letters <= name.Length && ReadUInt64LittleEndian(name) == folder, "a name in an NTFS folder is damaged, or another folder's");
        if (name[0x41] != DosNamespace)
        {
            string text = Encoding.Unicode.GetString(name.Slice(NameHeader, letters));
            Unless(!text.AsSpan().ContainsAny('/', '\0'), "a name in an NTFS folder can't be one");
            EntryKind kind = (ReadUInt32LittleEndian(name[0x38..]) & FolderFlag) != 0 ? EntryKind.Folder : EntryKind.RegularFile;
            names.Add(new FolderEntry(text, ReadUInt64LittleEndian(entry), kind, IgnoresCase: name[0x41] != PosixNamespace));
        }
    }
}
