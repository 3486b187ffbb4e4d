using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// The body of an index object. (§8)
//
//   0            16      20      24        28         32            92         96           104
//   ├ session id ┼ epoch ┼ packs ┼ entries ┼ reserved ┼ session key ┼ reserved ┼ generation ┼ packs … entries … ┤
//
//   each pack:  0         16       20         24        each entry:  0    32     36       40              44     48
//               ├ pack id ┼ length ┼ reserved ┤                      ├ id ┼ pack ┼ offset ┼ sealed length ┼ meta ┤
internal readonly ref struct IndexBody(ReadOnlySpan<byte> bytes)
{
    internal const int HeadSize = 104;
    internal const int PackSize = 24;
    internal const int EntrySize = 48;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    internal Guid SessionId => new(_bytes[..16], bigEndian: true);

    internal uint Epoch => ReadUInt32LittleEndian(_bytes[16..]);

    internal int PackCount => ReadInt32LittleEndian(_bytes[20..]);

    internal int EntryCount => ReadInt32LittleEndian(_bytes[24..]);

    internal long Generation => ReadInt64LittleEndian(_bytes[96..]);

    internal ReadOnlySpan<byte> WrappedKey => _bytes.Slice(32, PackFooter.WrappedKeySize);

    internal Guid PackId(int pack) => new(PackAt(pack)[..16], bigEndian: true);

    internal uint PackLength(int pack) => ReadUInt32LittleEndian(PackAt(pack)[16..]);

    internal ReadOnlySpan<byte> Id(int entry) => EntryAt(entry)[..32];

    internal int Pack(int entry) => ReadInt32LittleEndian(EntryAt(entry)[32..]);

    internal int Offset(int entry) => ReadInt32LittleEndian(EntryAt(entry)[36..]);

    internal int SealedLength(int entry) => ReadInt32LittleEndian(EntryAt(entry)[40..]);

    internal ChunkMeta Meta(int entry) => new(ReadUInt32LittleEndian(EntryAt(entry)[44..]));

    internal static bool TryRead(ReadOnlySpan<byte> bytes, out IndexBody body)
    {
        body = default;
        if (bytes.Length < HeadSize)
        {
            return false;
        }

        body = new IndexBody(bytes);
        return body.PackCount > 0 && body.EntryCount > 0
            && ReadUInt32LittleEndian(bytes[28..]) == 0 && ReadUInt32LittleEndian(bytes[92..]) == 0
            && bytes.Length == SizeOf(body.PackCount, body.EntryCount)
            && body.EntriesAreInside();
    }

    internal static long SizeOf(int packs, int entries) => HeadSize + ((long)packs * PackSize) + ((long)entries * EntrySize);

    internal static void WriteHead(
        Span<byte> bytes, Guid sessionId, uint epoch, int packs, int entries, ReadOnlySpan<byte> wrappedKey, long generation)
    {
        bytes[..HeadSize].Clear();
        sessionId.TryWriteBytes(bytes, bigEndian: true, out _);
        WriteUInt32LittleEndian(bytes[16..], epoch);
        WriteInt32LittleEndian(bytes[20..], packs);
        WriteInt32LittleEndian(bytes[24..], entries);
        wrappedKey[..PackFooter.WrappedKeySize].CopyTo(bytes[32..]);
        WriteInt64LittleEndian(bytes[96..], generation);
    }

    internal static void WritePack(Span<byte> pack, Guid id, int length)
    {
        pack[..PackSize].Clear();
        id.TryWriteBytes(pack, bigEndian: true, out _);
        WriteInt32LittleEndian(pack[16..], length);
    }

    internal static void WriteEntry(Span<byte> entry, ReadOnlySpan<byte> id, int pack, int offset, int sealedLength, ChunkMeta meta)
    {
        id[..32].CopyTo(entry);
        WriteInt32LittleEndian(entry[32..], pack);
        WriteInt32LittleEndian(entry[36..], offset);
        WriteInt32LittleEndian(entry[40..], sealedLength);
        WriteUInt32LittleEndian(entry[44..], meta.Bits);
    }

    private ReadOnlySpan<byte> PackAt(int pack) => _bytes.Slice(HeadSize + (pack * PackSize), PackSize);

    private ReadOnlySpan<byte> EntryAt(int entry) => _bytes.Slice(HeadSize + (PackCount * PackSize) + (entry * EntrySize), EntrySize);

    private bool EntriesAreInside()
    {
        for (int i = 0; i < EntryCount; i++)
        {
            if ((uint)Pack(i) >= (uint)PackCount || Offset(i) < PackHeader.Size || SealedLength(i) <= SealedLayout.Overhead || !Meta(i).IsValid
                || (long)Offset(i) + SealedLength(i) > PackLength(Pack(i)))
            {
                return false;
            }
        }

        return true;
    }
}
