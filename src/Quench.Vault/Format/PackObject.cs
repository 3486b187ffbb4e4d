using System.Numerics;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// A pack begins with this header. (§6.1)
//
//   0       8       10      12      16         32           48        64
//   ├ magic ┼ major ┼ minor ┼ epoch ┼ vault id ┼ session id ┼ pack id ┤
internal readonly ref struct PackHeader(ReadOnlySpan<byte> bytes)
{
    internal const int Size = 64;
    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    private static ReadOnlySpan<byte> Magic => "QNCHPACK"u8;

    internal uint Epoch => ReadUInt32LittleEndian(_bytes[12..]);

    internal Guid VaultId => new(_bytes.Slice(16, 16), bigEndian: true);

    internal Guid SessionId => new(_bytes.Slice(32, 16), bigEndian: true);

    internal Guid PackId => new(_bytes.Slice(48, 16), bigEndian: true);

    internal bool IsValid => _bytes.StartsWith(Magic) && ReadUInt16LittleEndian(_bytes[8..]) == FormatObject.Major;

    internal static void Write(Span<byte> bytes, uint epoch, Guid vaultId, Guid sessionId, Guid packId)
    {
        Magic.CopyTo(bytes);
        WriteUInt16LittleEndian(bytes[8..], FormatObject.Major);
        WriteUInt16LittleEndian(bytes[10..], FormatObject.Minor);
        WriteUInt32LittleEndian(bytes[12..], epoch);
        vaultId.TryWriteBytes(bytes[16..], bigEndian: true, out _);
        sessionId.TryWriteBytes(bytes[32..], bigEndian: true, out _);
        packId.TryWriteBytes(bytes[48..], bigEndian: true, out _);
    }
}

// A pack ends with this footer, right behind the tag of the directory. (§6.1)
//
//   0       12                 72  76  80      88
//   ├ nonce ┼ session key ─────┼ D ┼ L ┼ magic ┤
internal readonly ref struct PackFooter(ReadOnlySpan<byte> bytes)
{
    internal const int Size = 88;
    internal const int NonceSize = 12;
    internal const int WrappedKeySize = 60;
    internal const int TagSize = 16;
    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    private static ReadOnlySpan<byte> Magic => "QNCHPEND"u8;

    internal ReadOnlySpan<byte> Nonce => _bytes[..NonceSize];

    internal ReadOnlySpan<byte> WrappedKey => _bytes.Slice(NonceSize, WrappedKeySize);

    internal uint DirectoryOffset => ReadUInt32LittleEndian(_bytes[72..]);

    internal uint DirectoryLength => ReadUInt32LittleEndian(_bytes[76..]);

    /// <summary>Whether the footer fits a pack of this length.</summary>
    internal bool IsValidFor(long packLength) =>
        _bytes.EndsWith(Magic) && DirectoryOffset >= PackHeader.Size && DirectoryLength >= PackDirectory.HeadSize
        && (long)DirectoryOffset + DirectoryLength + TagSize + Size == packLength;

    internal static void Write(Span<byte> bytes, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> wrappedKey, int directoryOffset, int directoryLength)
    {
        nonce[..NonceSize].CopyTo(bytes);
        wrappedKey[..WrappedKeySize].CopyTo(bytes[NonceSize..]);
        WriteInt32LittleEndian(bytes[72..], directoryOffset);
        WriteInt32LittleEndian(bytes[76..], directoryLength);
        Magic.CopyTo(bytes[80..]);
    }
}

// The plaintext of a pack's directory: what lies where. (§6.2)
//
//   0       4          8                    each entry:  0    32       36              40     44
//   ├ count ┼ reserved ┼ entries … zeros                 ├ id ┼ offset ┼ sealed length ┼ meta ┤
internal readonly ref struct PackDirectory(ReadOnlySpan<byte> bytes)
{
    internal const int HeadSize = 8;
    internal const int EntrySize = 44;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    internal int Count => ReadInt32LittleEndian(_bytes);

    internal ReadOnlySpan<byte> Id(int index) => At(index)[..32];

    internal int Offset(int index) => ReadInt32LittleEndian(At(index)[32..]);

    internal int SealedLength(int index) => ReadInt32LittleEndian(At(index)[36..]);

    internal ChunkMeta Meta(int index) => new(ReadUInt32LittleEndian(At(index)[40..]));

    /// <summary>Whether the entries lie one behind the other from the header to the directory, and only zeros follow them. (§6.4)</summary>
    internal bool IsValid(int directoryOffset)
    {
        if (_bytes.Length < HeadSize || Count <= 0 || Count > (_bytes.Length - HeadSize) / EntrySize || ReadUInt32LittleEndian(_bytes[4..]) != 0)
        {
            return false;
        }

        long next = PackHeader.Size;
        for (int i = 0; i < Count; i++)
        {
            if (Offset(i) != next || SealedLength(i) <= SealedLayout.Overhead || !Meta(i).IsValid)
            {
                return false;
            }

            next += SealedLength(i);
        }

        return next == directoryOffset && !_bytes[(HeadSize + (Count * EntrySize))..].ContainsAnyExcept((byte)0);
    }

    internal static void WriteHead(Span<byte> bytes, int count)
    {
        WriteInt32LittleEndian(bytes, count);
        WriteInt32LittleEndian(bytes[4..], 0);
    }

    internal static void WriteEntry(Span<byte> entry, ReadOnlySpan<byte> id, int offset, int sealedLength, ChunkMeta meta)
    {
        id[..32].CopyTo(entry);
        WriteInt32LittleEndian(entry[32..], offset);
        WriteInt32LittleEndian(entry[36..], sealedLength);
        WriteUInt32LittleEndian(entry[40..], meta.Bits);
    }

    private ReadOnlySpan<byte> At(int index) => _bytes.Slice(HeadSize + (index * EntrySize), EntrySize);
}

/// <summary>The lengths that packs have. (§6.3)</summary>
internal static class SizeClass
{
    private const int MinUnit = 4096;

    /// <summary>Bytes around the chunks and the directory's plaintext.</summary>
    internal const int Overhead = PackHeader.Size + PackFooter.TagSize + PackFooter.Size;

    /// <summary>The length of a pack that needs so many bytes: at most a sixteenth more.</summary>
    internal static int Of(int size)
    {
        int unit = Math.Max(MinUnit, 1 << Math.Max(0, BitOperations.Log2((uint)size) - 4));
        return (size + unit - 1) / unit * unit;
    }
}
