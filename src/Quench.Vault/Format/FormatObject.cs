using System.Security.Cryptography;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// The object "format": which vault, which version, which features. (§4.1)
//
//   0            8       10      12      14         16          32        40        48           56        64          96
//   ├ magic ─────┼ major ┼ minor ┼ suite ┼ reserved ┼ vault id ─┼ reader ─┼ writer ─┼ collector ─┼ created ┼ SHA-256 ──┤
internal readonly ref struct FormatObject(ReadOnlySpan<byte> bytes)
{
    internal const int Size = 96;
    internal const ushort Major = 1;
    internal const ushort Minor = 0;
    internal const ushort Suite = 1;
    private const int Hashed = 64;
    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    private static ReadOnlySpan<byte> Magic => "QNCHVALT"u8;

    internal ushort MajorVersion => ReadUInt16LittleEndian(_bytes[8..]);

    internal ushort MinorVersion => ReadUInt16LittleEndian(_bytes[10..]);

    internal ushort CipherSuite => ReadUInt16LittleEndian(_bytes[12..]);

    internal Guid VaultId => new(_bytes.Slice(16, 16), bigEndian: true);

    internal ulong ReaderFeatures => ReadUInt64LittleEndian(_bytes[32..]);

    internal ulong WriterFeatures => ReadUInt64LittleEndian(_bytes[40..]);

    internal ulong CollectorFeatures => ReadUInt64LittleEndian(_bytes[48..]);

    internal long Created => ReadInt64LittleEndian(_bytes[56..]);

    /// <summary>Whether these are the beginnings of a format object of any version at all.</summary>
    internal static bool HasMagic(ReadOnlySpan<byte> bytes) => bytes.StartsWith(Magic);

    /// <summary>The major version, which stays where it is in all versions: readable before anything else is.</summary>
    internal static ushort PeekMajor(ReadOnlySpan<byte> bytes) => bytes.Length >= 10 ? ReadUInt16LittleEndian(bytes[8..]) : (ushort)0;

    /// <summary>Whether length, reserved bytes and hash are as they must be.</summary>
    internal static bool IsIntact(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[32];
        return bytes.Length == Size
            && SHA256.HashData(bytes[..Hashed], hash) == 32
            && hash.SequenceEqual(bytes[Hashed..])
            && ReadUInt16LittleEndian(bytes[14..]) == 0;
    }

    internal static byte[] Write(Guid vaultId, long created, ushort major = Major, ulong reader = 0, ulong writer = 0, ulong collector = 0)
    {
        byte[] bytes = new byte[Size];
        Magic.CopyTo(bytes);
        WriteUInt16LittleEndian(bytes.AsSpan(8), major);
        WriteUInt16LittleEndian(bytes.AsSpan(10), Minor);
        WriteUInt16LittleEndian(bytes.AsSpan(12), Suite);
        vaultId.TryWriteBytes(bytes.AsSpan(16), bigEndian: true, out _);
        WriteUInt64LittleEndian(bytes.AsSpan(32), reader);
        WriteUInt64LittleEndian(bytes.AsSpan(40), writer);
        WriteUInt64LittleEndian(bytes.AsSpan(48), collector);
        WriteInt64LittleEndian(bytes.AsSpan(56), created);
        SHA256.HashData(bytes.AsSpan(0, Hashed), bytes.AsSpan(Hashed));
        return bytes;
    }
}
