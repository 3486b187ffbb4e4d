using System.Security.Cryptography;
using Quench.Interop.Argon2;
using Quench.Vault.Format;

namespace Quench.Vault.Keys;

/// <summary>Making and opening one way into the vault. (§3.2)</summary>
internal static class KeySlot
{
    private const int TagSize = 16;
    private const int PairSize = 64; // wrap ‖ commit
    private const uint MostPasses = 64;
    private const uint MostLanes = 64;
    private const long MostMemory = 2L << 30;

    /// <summary>Wraps the master key under a password.</summary>
    internal static byte[] ForPassword(Guid vaultId, Guid slotId, ReadOnlySpan<byte> password, KdfCost cost, ReadOnlySpan<byte> master) =>
        Make(SlotType.Password, vaultId, slotId, password, cost, master);

    /// <summary>Wraps the master key under the 32 bytes of a recovery code.</summary>
    internal static byte[] ForRecoveryCode(Guid vaultId, Guid slotId, ReadOnlySpan<byte> secret, ReadOnlySpan<byte> master) =>
        Make(SlotType.RecoveryCode, vaultId, slotId, secret, default, master);

    /// <summary>Wraps the master key under the 32 bytes of a key file.</summary>
    internal static byte[] ForKeyFile(Guid vaultId, Guid slotId, ReadOnlySpan<byte> secret, ReadOnlySpan<byte> master) =>
        Make(SlotType.KeyFile, vaultId, slotId, secret, default, master);

    /// <summary>Whether type and derivation belong together, so that this program knows how to open the slot.</summary>
    internal static bool IsKnown(KeySlotObject slot) => slot.Type switch
    {
        SlotType.Password => slot.Kdf == KeySlotObject.Argon2idKdf,
        SlotType.RecoveryCode or SlotType.KeyFile => slot.Kdf == KeySlotObject.HkdfKdf,
        _ => false,
    };

    /// <summary>Whether opening a slot would cost more than a reader agrees to, or is not a cost at all.</summary>
    internal static bool IsTooCostly(KeySlotObject slot)
    {
        long most = Math.Min(MostMemory, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2);
        return slot.Kdf == KeySlotObject.Argon2idKdf
            && (slot.MemoryKibibytes * 1024L > most
                || slot.Passes is 0 or > MostPasses || slot.Lanes is 0 or > MostLanes || slot.MemoryKibibytes < 8 * slot.Lanes);
    }

    /// <summary>Tries a secret on a slot.</summary>
    /// <param name="slot">The slot; its cost has been agreed to.</param>
    /// <param name="secret">The password, or the 32 bytes of the recovery code or of the key file.</param>
    /// <param name="master">Receives the master key.</param>
    /// <returns>False when the secret is not this slot's.</returns>
    internal static bool TryOpen(KeySlotObject slot, ReadOnlySpan<byte> secret, Span<byte> master)
    {
        Span<byte> pair = stackalloc byte[PairSize];
        Derive(slot, secret, pair);
        Span<byte> commitment = stackalloc byte[32];
        HMACSHA256.HashData(pair[32..], slot.Committed, commitment);
        bool opened = false;
        if (CryptographicOperations.FixedTimeEquals(commitment, slot.Commitment))
        {
            using AesGcm cipher = new(pair[..32], TagSize);
            opened = VaultKeys.TryDecrypt(cipher, slot.Nonce, slot.EncryptedKey, slot.Tag, master, slot.Header);
        }

        CryptographicOperations.ZeroMemory(pair);
        return opened;
    }

    private static byte[] Make(SlotType type, Guid vaultId, Guid slotId, ReadOnlySpan<byte> secret, KdfCost cost, ReadOnlySpan<byte> master)
    {
        byte[] bytes = new byte[KeySlotObject.Size];
        Span<byte> salt = stackalloc byte[32];
        RandomNumberGenerator.Fill(salt);
        KeySlotObject.WriteHeader(bytes, type, vaultId, slotId, (uint)cost.MemoryKibibytes, (uint)cost.Passes, (uint)cost.Lanes, salt);
        RandomNumberGenerator.Fill(bytes.AsSpan(96, 12));

        KeySlotObject slot = new(bytes);
        Span<byte> pair = stackalloc byte[PairSize];
        Derive(slot, secret, pair);
        using (AesGcm cipher = new(pair[..32], TagSize))
        {
            cipher.Encrypt(slot.Nonce, master, bytes.AsSpan(108, 32), bytes.AsSpan(140, TagSize), slot.Header);
        }

        HMACSHA256.HashData(pair[32..], slot.Committed, bytes.AsSpan(KeySlotObject.CommittedSize, 32));
        CryptographicOperations.ZeroMemory(pair);
        KeySlotObject.Close(bytes);
        return bytes;
    }

    private static void Derive(KeySlotObject slot, ReadOnlySpan<byte> secret, Span<byte> pair)
    {
        if (slot.Kdf == KeySlotObject.Argon2idKdf)
        {
            Argon2id.Derive(secret, slot.Salt, (int)slot.MemoryKibibytes, (int)slot.Passes, (int)slot.Lanes, pair);
        }
        else
        {
            Derivation.ExtractAndExpand(secret, slot.Salt, "quench/1/slot"u8, pair);
        }
    }
}
