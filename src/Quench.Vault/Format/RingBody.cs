using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// The body of a ring object: the key of every epoch. (§3.4)
//
//   0       4         8                            each epoch:  0       4          8         16     48
//   ├ count ┼ current ┼ epochs …                                ├ epoch ┼ reserved ┼ created ┼ key ─┤
internal readonly ref struct RingBody(ReadOnlySpan<byte> bytes)
{
    internal const int EpochSize = 48;
    internal const int HeadSize = 8;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    internal int Count => ReadInt32LittleEndian(_bytes);

    internal uint Current => ReadUInt32LittleEndian(_bytes[4..]);

    internal uint Epoch(int index) => ReadUInt32LittleEndian(At(index));

    internal ReadOnlySpan<byte> Key(int index) => At(index).Slice(16, 32);

    internal static bool TryRead(ReadOnlySpan<byte> bytes, out RingBody ring)
    {
        ring = default;
        if (bytes.Length < HeadSize)
        {
            return false;
        }

        ring = new RingBody(bytes);
        return ring.Count > 0 && bytes.Length == HeadSize + ((long)ring.Count * EpochSize) && ring.IsRising();
    }

    internal static void Write(Span<byte> bytes, uint epoch, long created, ReadOnlySpan<byte> key)
    {
        bytes.Clear();
        WriteInt32LittleEndian(bytes, 1);
        WriteUInt32LittleEndian(bytes[4..], epoch);
        WriteUInt32LittleEndian(bytes[8..], epoch);
        WriteInt64LittleEndian(bytes[16..], created);
        key[..32].CopyTo(bytes[24..]);
    }

    private ReadOnlySpan<byte> At(int index) => _bytes.Slice(HeadSize + (index * EpochSize), EpochSize);

    private bool IsRising()
    {
        uint last = 0;
        bool current = false;
        for (int i = 0; i < Count; i++)
        {
            if (Epoch(i) <= last || ReadUInt32LittleEndian(At(i)[4..]) != 0)
            {
                return false;
            }

            last = Epoch(i);
            current |= last == Current;
        }

        return current;
    }
}
