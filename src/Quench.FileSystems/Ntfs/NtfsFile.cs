using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

// A reference to a record: its number (6 bytes) ┼ its sequence number (2), which a record changes when it becomes another file's.
//
// Attributes that have no room in a file's record lie in other records of the table, and a list in the first one says where. (Linux-NTFS documentation, "$ATTRIBUTE_LIST")
//
//     ├ type (4) ┼ length of the entry (2) ┼ letters of the name (1) ┼ offset of the name (1) ┼ first cluster of that piece (8) ┼ reference (8) ┼ id (2) ┤

/// <summary>A file or folder with all its attributes, wherever they lie.</summary>
internal sealed class NtfsFile
{
    private const int MostListBytes = 256 * 1024; // what Windows writes at most
    private const ushort InUse = 1;
    private const ushort FolderFlag = 2;

    private readonly List<byte[]> _attributes = [];

    private NtfsFile(bool isFolder) => IsFolder = isFolder;

    public bool IsFolder { get; }

    /// <summary>Reads a file's records.</summary>
    /// <param name="records">Reads the table.</param>
    /// <param name="reference">The file, as a folder names it.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">They are damaged, or another file's.</exception>
    public static async ValueTask<NtfsFile> ReadAsync(NtfsRecords records, ulong reference, CancellationToken cancellationToken)
    {
        byte[] first = await ReadRecordAsync(records, reference, cancellationToken);
        Unless(ReadUInt64LittleEndian(first.AsSpan(0x20)) == 0, $"NTFS record {NumberOf(reference)} is a part of another file's");
        NtfsFile file = new((ReadUInt16LittleEndian(first.AsSpan(0x16)) & FolderFlag) != 0);
        file._attributes.AddRange(FileRecord.Attributes(first));
        if (file.Find(FileRecord.AttributeList, "").FirstOrDefault() is { } list)
        {
            await file.AddOthersAsync(records, reference, await ReadListAsync(records, list, cancellationToken), cancellationToken);
        }

        return file;
    }

    /// <summary>The number in a reference.</summary>
    public static long NumberOf(ulong reference) => (long)(reference & 0xFFFF_FFFF_FFFF);

    /// <summary>The attributes of a type and a name, in the order in which they lie.</summary>
    public IEnumerable<byte[]> Find(uint type, string name) => _attributes.Where(attribute => ReadUInt32LittleEndian(attribute) == type && NameOf(attribute) == name);

    /// <summary>Where the bytes of an attribute lie that lies in clusters: all its pieces, put together.</summary>
    /// <exception cref="InDoubtException">A piece is missing, or leads out of the file system.</exception>
    public RunList RunsOf(uint type, string name, long clusters)
    {
        byte[][] pieces = [.. Find(type, name).OrderBy(FirstCluster)];
        List<Run> runs = [];
        long next = 0;
        foreach (byte[] piece in pieces)
        {
            Unless(piece.Length >= 0x40 && piece[8] == 1 && FirstCluster(piece) == next, "a piece of an NTFS file is missing, or does not lie in clusters of its own");
            int offset = ReadUInt16LittleEndian(piece.AsSpan(0x20));
            Unless(offset >= 0x40 && offset < piece.Length, "the runs of an NTFS file lie outside of its record");
            RunList part = RunList.Decode(piece.AsSpan(offset), 0, clusters, "file");
            long count = part.Runs.Sum(run => run.Count);
            Unless(count <= clusters && ReadInt64LittleEndian(piece.AsSpan(0x18)) == next + count - 1, "the runs of an NTFS file are not as long as it says");
            runs.AddRange(part.Runs);
            next += count;
            Unless(next <= long.MaxValue / 4, "an NTFS file is longer than can be");
        }

        return new RunList(runs, pieces.Length == 0 ? 0 : ReadInt64LittleEndian(pieces[0].AsSpan(0x30)));
    }

    /// <summary>The letters of an attribute's name.</summary>
    private static string NameOf(byte[] attribute)
    {
        int letters = attribute[9];
        int offset = ReadUInt16LittleEndian(attribute.AsSpan(0x0A));
        Unless(letters == 0 || offset + (letters * 2) <= attribute.Length, "the name of an attribute reaches past its end");
        return letters == 0 ? "" : Encoding.Unicode.GetString(attribute, offset, letters * 2);
    }

    private static long FirstCluster(byte[] attribute) => attribute[8] == 1 && attribute.Length >= 0x20 ? ReadInt64LittleEndian(attribute.AsSpan(0x10)) : 0;

    private static async ValueTask<byte[]> ReadRecordAsync(NtfsRecords records, ulong reference, CancellationToken cancellationToken)
    {
        byte[] record = await records.ReadAsync(NumberOf(reference), cancellationToken);
        bool isThat = (ReadUInt16LittleEndian(record.AsSpan(0x16)) & InUse) != 0 && ReadUInt16LittleEndian(record.AsSpan(0x10)) == reference >> 48;
        Unless(isThat, $"NTFS record {NumberOf(reference)} is not in use, or is another file's by now");
        return record;
    }

    private static async ValueTask<byte[]> ReadListAsync(NtfsRecords records, byte[] attribute, CancellationToken cancellationToken)
    {
        if (attribute[8] == 0)
        {
            return FileRecord.Value(attribute).ToArray();
        }

        RunList runs = FileRecord.Runs(attribute, records.Clusters, "attribute list");
        Unless(runs.Length is >= 0 and <= MostListBytes, "an NTFS attribute list is longer than can be");
        byte[] list = new byte[runs.Length];
        await records.ReadBytesAsync(runs, 0, list, "attribute list", cancellationToken);
        return list;
    }

    private async ValueTask AddOthersAsync(NtfsRecords records, ulong reference, byte[] list, CancellationToken cancellationToken)
    {
        HashSet<ulong> read = [reference];
        for (int at = 0; at + 0x1A <= list.Length;)
        {
            int length = ReadUInt16LittleEndian(list.AsSpan(at + 4));
            Unless(length >= 0x1A && length <= list.Length - at, "an NTFS attribute list is damaged");
            ulong other = ReadUInt64LittleEndian(list.AsSpan(at + 0x10));
            at += length;
            if (read.Add(other))
            {
                byte[] record = await ReadRecordAsync(records, other, cancellationToken);
                Unless(ReadUInt64LittleEndian(record.AsSpan(0x20)) == reference, $"NTFS record {NumberOf(other)} is not a part of the file that names it");
                _attributes.AddRange(FileRecord.Attributes(record));
            }
        }
    }
}
