using System.Security.Cryptography;
using Quench.Blocks.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>Makes a vault: key slots, then ring, then config, then "format", with which it begins to be one. (§4.1)</summary>
internal static class VaultCreation
{
    private const string NothingMade = "no vault was made";

    /// <summary>Makes a vault in an empty store.</summary>
    /// <returns>The recovery code, in ASCII; the caller disposes it.</returns>
    internal static async Task<SecretBytes> RunAsync(
        IObjectStore store, VaultSettings settings, ReadOnlyMemory<byte> password, TimeProvider clock, KdfCost floor, CancellationToken cancellationToken)
    {
        Check(settings, password.Length, floor);
        await CheckEmptyAsync(store, cancellationToken);

        long created = clock.GetUtcNow().ToUnixTimeMilliseconds();
        byte[] format = FormatObject.Write(BackupSession.NewId(), created);
        using VaultKeys keys = NewKeys(new FormatObject(format).VaultId);
        SecretBytes code = await PutSlotsAsync(store, keys, password, settings.Kdf, cancellationToken);
        bool made = false;
        try
        {
            await RootCopies.PutAsync(store, ObjectNames.Ring(1), SealRing(keys, created), cancellationToken);
            byte[] config = ConfigBody.Write(
                format, settings.ChunkSize, ConfigBody.DefaultPackTarget, created, 1,
                (settings.Parity.DataShards, settings.Parity.ParityShards, settings.Parity.ShardSize));
            await RootCopies.PutAsync(store, ObjectNames.Config(1), keys.SealEnvelope(EnvelopeKind.Config, ObjectNames.Config(1), config), cancellationToken);
            made = await RootCopies.TryPutAsync(store, ObjectNames.Format, format, cancellationToken);
            return made ? code : throw VaultErrors.AlreadyAVault(store.Location);
        }
        finally
        {
            if (!made)
            {
                code.Dispose();
            }
        }
    }

    /// <summary>Refuses a password that is none, and a cost that protects none.</summary>
    internal static void CheckPassword(int passwordLength, KdfCost cost, KdfCost floor, string effect)
    {
        if (cost.MemoryKibibytes < floor.MemoryKibibytes || cost.Passes < floor.Passes || cost.Lanes < floor.Lanes)
        {
            throw VaultErrors.BadSettings(
                $"a guess of the password must cost at least {floor.MemoryKibibytes / 1024} MiB and {floor.Passes} passes, not {cost.MemoryKibibytes / 1024} MiB and {cost.Passes}",
                effect);
        }

        if (passwordLength == 0)
        {
            throw VaultErrors.BadSettings("the password is empty", effect);
        }
    }

    private static void Check(VaultSettings settings, int passwordLength, KdfCost floor)
    {
        if (!ConfigBody.IsChunkSize(settings.ChunkSize))
        {
            throw VaultErrors.BadSettings($"a chunk size is a power of two from 16 KiB to 4 MiB, not {settings.ChunkSize}", NothingMade);
        }

        if (!settings.Parity.IsValid)
        {
            throw VaultErrors.BadSettings($"parity is none, or 1 to 200 data shards and 1 to 32 parity shards, not {settings.Parity}", NothingMade);
        }

        CheckPassword(passwordLength, settings.Kdf, floor, NothingMade);
    }

    private static async Task CheckEmptyAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        string? other = null;
        bool slots = false;
        await foreach (StoredObject found in store.ListAsync("", cancellationToken))
        {
            if (!found.IsForeign && (found.Name == ObjectNames.Format || found.Name == RootCopies.CopyOf(ObjectNames.Format)))
            {
                throw VaultErrors.AlreadyAVault(store.Location);
            }

            slots |= (RootCopies.TryRootOf(found.Name) ?? found.Name).StartsWith(ObjectNames.Slots, StringComparison.Ordinal);
            other ??= found.Name;
        }

        if (other is not null)
        {
            throw slots ? VaultErrors.RemainsOfAVault(store.Location) : VaultErrors.NotEmpty(store.Location, other);
        }
    }

    private static VaultKeys NewKeys(Guid vaultId)
    {
        Span<byte> master = stackalloc byte[Secret.Size];
        RandomNumberGenerator.Fill(master);
        VaultKeys keys = VaultKeys.From(vaultId, master);
        CryptographicOperations.ZeroMemory(master);
        return keys;
    }

    private static async Task<SecretBytes> PutSlotsAsync(
        IObjectStore store, VaultKeys keys, ReadOnlyMemory<byte> password, KdfCost cost, CancellationToken cancellationToken)
    {
        Guid first = BackupSession.NewId();
        byte[] slot = await Task.Run(() => KeySlot.ForPassword(keys.VaultId, first, password.Span, cost, keys.Master), cancellationToken);
        await RootCopies.PutAsync(store, ObjectNames.Slot(first), slot, cancellationToken);

        Guid second = BackupSession.NewId();
        using SecretBytes secret = new(RecoveryCode.SecretSize);
        RandomNumberGenerator.Fill(secret.Span);
        byte[] recovery = KeySlot.ForRecoveryCode(keys.VaultId, second, secret.Span, keys.Master);
        await RootCopies.PutAsync(store, ObjectNames.Slot(second), recovery, cancellationToken);
        SecretBytes code = new(RecoveryCode.TextLength);
        RecoveryCode.Write(secret.Span, code.Span);
        return code;
    }

    /// <summary>A ring with one epoch, which the keys know from now on too.</summary>
    private static byte[] SealRing(VaultKeys keys, long created)
    {
        Span<byte> key = stackalloc byte[Secret.Size];
        Span<byte> body = stackalloc byte[RingBody.HeadSize + RingBody.EpochSize];
        RandomNumberGenerator.Fill(key);
        RingBody.Write(body, epoch: 1, created, key);
        byte[] ring = keys.SealEnvelope(EnvelopeKind.Ring, ObjectNames.Ring(1), body);
        CryptographicOperations.ZeroMemory(key);
        CryptographicOperations.ZeroMemory(body);
        return ring;
    }
}
