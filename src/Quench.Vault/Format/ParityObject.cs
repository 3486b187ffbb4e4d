using System.Security.Cryptography;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

// A parity object begins and ends with this header; between the two lie the parity shards. (§6.5)
//
//   0       8       10      12  14  16         32        48            52           56                88                  H-32      H
//   ├ magic ┼ major ┼ minor ┼ k ┼ m ┼ vault id ┼ pack id ┼ pack length ┼ shard size ┼ SHA-256 of pack ┼ checks … zeros … ┼ SHA-256 ┤
//
// Checks: 8 bytes for each shard of the pack, then for each parity shard. H is a multiple of 4096.
internal readonly ref struct ParityHeader(ReadOnlySpan<byte> bytes)
{
    internal const int FixedSize = 88;
    internal const int Grain = 4096;
    private const int HashSize = 32;
    private const int CheckSize = 8;
    private const int MaxPack = int.MaxValue;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    private static ReadOnlySpan<byte> Magic => "QNCHPRTY"u8;

    internal int DataShards => ReadUInt16LittleEndian(_bytes[12..]);

    internal int ParityShards => ReadUInt16LittleEndian(_bytes[14..]);

    internal Guid VaultId => new(_bytes.Slice(16, 16), bigEndian: true);

    internal Guid PackId => new(_bytes.Slice(32, 16), bigEndian: true);

    internal uint PackLength => ReadUInt32LittleEndian(_bytes[48..]);

    internal uint ShardSize => ReadUInt32LittleEndian(_bytes[52..]);

    internal ReadOnlySpan<byte> PackHash => _bytes.Slice(56, HashSize);

    /// <summary>All of it.</summary>
    internal ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>The check of a shard: those of the pack first, then the parity's.</summary>
    internal ulong Check(int shard) => ReadUInt64LittleEndian(_bytes[(FixedSize + (shard * CheckSize))..]);

    /// <summary>Bytes of a header for so many shards, the pack's and the parity's.</summary>
    internal static int SizeOf(int shards) =>
        (FixedSize + (shards * CheckSize) + HashSize + Grain - 1) / Grain * Grain;

    /// <summary>Reads a header whose length is known.</summary>
    /// <returns>False when it is not one, or its hash does not match.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> bytes, out ParityHeader header)
    {
        header = default;
        if (bytes.Length < Grain || !bytes.StartsWith(Magic) || ReadUInt16LittleEndian(bytes[8..]) != FormatObject.Major)
        {
            return false;
        }

        Span<byte> hash = stackalloc byte[HashSize];
        SHA256.HashData(bytes[..^HashSize], hash);
        header = new ParityHeader(bytes);
        return hash.SequenceEqual(bytes[^HashSize..]) && header.PackLength is > 0 and <= MaxPack;
    }

    /// <summary>Whether bytes begin as a header does.</summary>
    internal static bool HasMagic(ReadOnlySpan<byte> bytes) => bytes.StartsWith(Magic);

    /// <summary>Writes everything but the checks and the hash at the end.</summary>
    internal static void Write(Span<byte> bytes, int k, int m, Guid vaultId, Guid packId, int packLength, int shardSize, ReadOnlySpan<byte> packHash)
    {
        bytes.Clear();
        Magic.CopyTo(bytes);
        WriteUInt16LittleEndian(bytes[8..], FormatObject.Major);
        WriteUInt16LittleEndian(bytes[10..], FormatObject.Minor);
        WriteUInt16LittleEndian(bytes[12..], (ushort)k);
        WriteUInt16LittleEndian(bytes[14..], (ushort)m);
        vaultId.TryWriteBytes(bytes[16..], bigEndian: true, out _);
        packId.TryWriteBytes(bytes[32..], bigEndian: true, out _);
        WriteInt32LittleEndian(bytes[48..], packLength);
        WriteInt32LittleEndian(bytes[52..], shardSize);
        packHash[..HashSize].CopyTo(bytes[56..]);
    }

    internal static void WriteCheck(Span<byte> bytes, int shard, ulong check) =>
        WriteUInt64LittleEndian(bytes[(FixedSize + (shard * CheckSize))..], check);

    /// <summary>Writes the hash at the end; nothing may change after it.</summary>
    internal static void Seal(Span<byte> bytes) => SHA256.HashData(bytes[..^HashSize], bytes[^HashSize..]);
}
