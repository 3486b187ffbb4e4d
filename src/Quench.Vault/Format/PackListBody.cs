using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// The body of a collector's lists of packs. (§11.1)
//
//   0            8       12         16
//   ├ generation ┼ count ┼ reserved ┼ pack ids, 16 bytes each … ┤
internal readonly ref struct PackListBody(ReadOnlySpan<byte> bytes)
{
    internal const int HeadSize = 16;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    internal int Count => ReadInt32LittleEndian(_bytes[8..]);

    internal Guid PackId(int index) => new(_bytes.Slice(HeadSize + (index * 16), 16), bigEndian: true);

    internal static bool TryRead(ReadOnlySpan<byte> bytes, out PackListBody body)
    {
        body = default;
        if (bytes.Length < HeadSize)
        {
            return false;
        }

        body = new PackListBody(bytes);
        return body.Count >= 0 && bytes.Length == HeadSize + (body.Count * 16L) && ReadUInt32LittleEndian(bytes[12..]) == 0;
    }

    internal static byte[] Write(long generation, IReadOnlyList<Guid> packs)
    {
        byte[] bytes = new byte[HeadSize + (packs.Count * 16)];
        WriteInt64LittleEndian(bytes, generation);
        WriteInt32LittleEndian(bytes.AsSpan(8), packs.Count);
        for (int i = 0; i < packs.Count; i++)
        {
            packs[i].TryWriteBytes(bytes.AsSpan(HeadSize + (i * 16)), bigEndian: true, out _);
        }

        return bytes;
    }
}
