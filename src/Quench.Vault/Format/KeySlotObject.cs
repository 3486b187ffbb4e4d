using System.Security.Cryptography;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

/// <summary>What opens a slot. (§3.2)</summary>
internal enum SlotType : byte
{
    Password = 1,
    RecoveryCode = 2,
    KeyFile = 3,
}

// One way into the vault: the master key, encrypted under a secret. (§3.2)
//
//   0       8       10      12     13    14         16         32        48       52       56      60
//   ├ magic ┼ major ┼ minor ┼ type ┼ kdf ┼ reserved ┼ vault id ┼ slot id ┼ memory ┼ passes ┼ lanes ┼ reserved ┐
//   ┌───────────────────────────────────────────────────────────────────────────────────────────────────────┘
//   64     96      108                 140   156          188       220
//   ├ salt ┼ nonce ┼ master key (enc.) ┼ tag ┼ commitment ┼ SHA-256 ┤
internal readonly ref struct KeySlotObject(ReadOnlySpan<byte> bytes)
{
    internal const int Size = 220;
    internal const int HeaderSize = 96; // associated data of the encrypted key
    internal const int CommittedSize = 156;
    internal const byte Argon2idKdf = 1;
    internal const byte HkdfKdf = 2;
    private const int HashedSize = 188;
    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    private static ReadOnlySpan<byte> Magic => "QNCHSLOT"u8;

    internal SlotType Type => (SlotType)_bytes[12];

    internal byte Kdf => _bytes[13];

    internal Guid VaultId => new(_bytes.Slice(16, 16), bigEndian: true);

    internal Guid SlotId => new(_bytes.Slice(32, 16), bigEndian: true);

    internal uint MemoryKibibytes => ReadUInt32LittleEndian(_bytes[48..]);

    internal uint Passes => ReadUInt32LittleEndian(_bytes[52..]);

    internal uint Lanes => ReadUInt32LittleEndian(_bytes[56..]);

    internal ReadOnlySpan<byte> Header => _bytes[..HeaderSize];

    internal ReadOnlySpan<byte> Salt => _bytes.Slice(64, 32);

    internal ReadOnlySpan<byte> Nonce => _bytes.Slice(96, 12);

    internal ReadOnlySpan<byte> EncryptedKey => _bytes.Slice(108, 32);

    internal ReadOnlySpan<byte> Tag => _bytes.Slice(140, 16);

    internal ReadOnlySpan<byte> Committed => _bytes[..CommittedSize];

    internal ReadOnlySpan<byte> Commitment => _bytes.Slice(CommittedSize, 32);

    /// <summary>Reads a slot; what it says is not authenticated yet.</summary>
    /// <returns>False when it is damaged.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> bytes, out KeySlotObject slot)
    {
        slot = default;
        Span<byte> hash = stackalloc byte[32];
        if (bytes.Length != Size || !bytes.StartsWith(Magic)
            || SHA256.HashData(bytes[..HashedSize], hash) != 32 || !hash.SequenceEqual(bytes[HashedSize..]))
        {
            return false;
        }

        slot = new KeySlotObject(bytes);
        return ReadUInt16LittleEndian(bytes[8..]) == FormatObject.Major
            && ReadUInt16LittleEndian(bytes[14..]) == 0
            && ReadUInt32LittleEndian(bytes[60..]) == 0;
    }

    /// <summary>Writes all up to the nonce; the caller fills <see cref="Nonce"/> to <see cref="Commitment"/> and then calls <see cref="Close"/>.</summary>
    internal static void WriteHeader(
        Span<byte> bytes, SlotType type, Guid vaultId, Guid slotId, uint memoryKibibytes, uint passes, uint lanes, ReadOnlySpan<byte> salt)
    {
        bytes[..Size].Clear();
        Magic.CopyTo(bytes);
        WriteUInt16LittleEndian(bytes[8..], FormatObject.Major);
        WriteUInt16LittleEndian(bytes[10..], FormatObject.Minor);
        bytes[12] = (byte)type;
        bytes[13] = type == SlotType.Password ? Argon2idKdf : HkdfKdf;
        vaultId.TryWriteBytes(bytes[16..], bigEndian: true, out _);
        slotId.TryWriteBytes(bytes[32..], bigEndian: true, out _);
        WriteUInt32LittleEndian(bytes[48..], memoryKibibytes);
        WriteUInt32LittleEndian(bytes[52..], passes);
        WriteUInt32LittleEndian(bytes[56..], lanes);
        salt[..32].CopyTo(bytes[64..]);
    }

    internal static void Close(Span<byte> bytes) => SHA256.HashData(bytes[..HashedSize], bytes[HashedSize..]);
}
