using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

// A record of the file table; little-endian. (Linux-NTFS documentation, "FILE Record" and "Attribute Header")
//
//     0x00  "FILE" ┬ offset of the fixups (2), their count (2) ┬ … ┬ 0x14 offset of the attributes (2) ┬ flags (2) ┬ bytes in use (4)
//     The last two bytes of every 512 hold the first fixup; what belongs there stands in the next ones.
//
//     attribute  type (4) ┬ length (4) ┬ not resident (1), letters of its name (1), offset of the name (2), flags (2), id (2)
//     resident   0x10 bytes (4), offset (2)
//     otherwise  0x10 first cluster (8), last cluster (8) ┬ 0x20 offset of the runs (2) ┬ 0x28 allocated (8), 0x30 bytes (8), 0x38 initialised (8)
internal readonly ref struct FileRecord(ReadOnlySpan<byte> bytes)
{
    public const uint AttributeList = 0x20;
    public const uint FileName = 0x30;
    public const uint VolumeName = 0x60;
    public const uint VolumeInformation = 0x70;
    public const uint Data = 0x80;
    private const uint End = 0xFFFF_FFFF;
    private const int Stride = 512;
    private const int ResidentHeader = 0x18;
    private const int RunsHeader = 0x40;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <summary>Puts the two bytes at the end of every 512 back, after they were seen to be of one write.</summary>
    /// <param name="bytes">A record, an index block or a page of the log.</param>
    /// <param name="magic">What it must begin with.</param>
    /// <param name="what">For the sentence.</param>
    /// <exception cref="InDoubtException">It is something else, or was torn.</exception>
    public static void Fix(Span<byte> bytes, ReadOnlySpan<byte> magic, string what)
    {
        Unless(bytes.StartsWith(magic), $"the NTFS {what} is not there");
        int offset = ReadUInt16LittleEndian(bytes[4..]);
        int count = ReadUInt16LittleEndian(bytes[6..]);
        bool fits = (offset & 1) == 0 && offset >= 8 && count - 1 == bytes.Length / Stride && offset + (count * 2) <= Stride - 2;
        Unless(fits, $"the NTFS {what} has impossible fixups");
        ReadOnlySpan<byte> fixups = bytes.Slice(offset, count * 2);
        for (int index = 1; index < count; index++)
        {
            Span<byte> place = bytes.Slice((index * Stride) - 2, 2);
            Unless(place.SequenceEqual(fixups[..2]), $"the NTFS {what} was torn in the middle of a write");
            fixups.Slice(index * 2, 2).CopyTo(place);
        }
    }

    /// <summary>Demands a record in use that is no continuation of another.</summary>
    public void Check(string what)
    {
        bool right = (ReadUInt16LittleEndian(_bytes[0x16..]) & 1) != 0 && ReadUInt64LittleEndian(_bytes[0x20..]) == 0 && BytesInUse <= (uint)_bytes.Length;
        Unless(right, $"the NTFS {what} is not a file of its own in use");
    }

    public ReadOnlySpan<byte> InUse => _bytes[..(int)BytesInUse];

    private uint BytesInUse => ReadUInt32LittleEndian(_bytes[0x18..]);

    /// <summary>The first attribute of a type, with a name or without; empty when there is none.</summary>
    /// <exception cref="InDoubtException">The attributes do not lie one after another in the record.</exception>
    public ReadOnlySpan<byte> Find(uint type, bool named = false)
    {
        int at = ReadUInt16LittleEndian(_bytes[0x14..]);
        while (at + sizeof(uint) <= BytesInUse && ReadUInt32LittleEndian(_bytes[at..]) is var found && found != End)
        {
            long length = at + 8 <= BytesInUse ? ReadUInt32LittleEndian(_bytes[(at + 4)..]) : 0;
            Unless(length >= ResidentHeader && (length & 7) == 0 && length <= BytesInUse - at, "the attributes of an NTFS record reach past its end");
            ReadOnlySpan<byte> attribute = _bytes.Slice(at, (int)length);
            if (found == type && attribute[9] > 0 == named)
            {
                return attribute;
            }

            at += (int)length;
        }

        return default;
    }

    /// <summary>All attributes of a record, each a copy.</summary>
    /// <param name="record">A record whose fixups have been put back.</param>
    /// <exception cref="InDoubtException">The attributes do not lie one after another in the record.</exception>
    public static List<byte[]> Attributes(ReadOnlySpan<byte> record)
    {
        uint inUse = ReadUInt32LittleEndian(record[0x18..]);
        Unless(inUse <= (uint)record.Length, "an NTFS record is in use beyond its end");
        List<byte[]> attributes = [];
        int at = ReadUInt16LittleEndian(record[0x14..]);
        while (at + sizeof(uint) <= inUse && ReadUInt32LittleEndian(record[at..]) != End)
        {
            long length = at + 8 <= inUse ? ReadUInt32LittleEndian(record[(at + 4)..]) : 0;
            Unless(length >= ResidentHeader && (length & 7) == 0 && length <= inUse - at, "the attributes of an NTFS record reach past its end");
            attributes.Add(record.Slice(at, (int)length).ToArray());
            at += (int)length;
        }

        return attributes;
    }

    /// <summary>The bytes of a resident attribute.</summary>
    public static ReadOnlySpan<byte> Value(ReadOnlySpan<byte> attribute)
    {
        uint length = attribute.IsEmpty ? 0 : ReadUInt32LittleEndian(attribute[0x10..]);
        int offset = attribute.IsEmpty ? 0 : ReadUInt16LittleEndian(attribute[0x14..]);
        Unless(!attribute.IsEmpty && attribute[8] == 0 && offset + (long)length <= attribute.Length, "an attribute of an NTFS record is not where it should be");
        return attribute.Slice(offset, (int)length);
    }

    /// <summary>The runs of an attribute that lies in clusters, from its first one on.</summary>
    public static RunList Runs(ReadOnlySpan<byte> attribute, long clusters, string what)
    {
        bool isRuns = attribute.Length >= RunsHeader && attribute[8] == 1 && ReadInt64LittleEndian(attribute[0x10..]) == 0;
        Unless(isRuns, $"the NTFS {what} does not lie in clusters of its own");
        int offset = ReadUInt16LittleEndian(attribute[0x20..]);
        Unless(offset >= RunsHeader && offset < attribute.Length, $"the runs of the NTFS {what} lie outside of its record");
        return RunList.Decode(attribute[offset..], ReadInt64LittleEndian(attribute[0x30..]), clusters, what);
    }
}
