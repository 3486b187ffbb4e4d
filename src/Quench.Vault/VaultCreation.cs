using System.Security.Cryptography;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>Makes a vault: key slots, then ring, then config, then "format", with which it begins to be one. (§4.1)</summary>
internal static class VaultCreation
{
    /// <summary>Makes a vault in an empty store.</summary>
    /// <returns>The recovery code.</returns>
    internal static async Task<string> RunAsync(
        IObjectStore store, VaultSettings settings, ReadOnlyMemory<byte> password, TimeProvider clock, KdfCost floor, CancellationToken cancellationToken)
    {
        Check(settings, password.Length, floor);
        await CheckEmptyAsync(store, cancellationToken);

        long created = clock.GetUtcNow().ToUnixTimeMilliseconds();
        byte[] format = FormatObject.Write(BackupSession.NewId(), created);
        using VaultKeys keys = NewKeys(new FormatObject(format).VaultId);
        string code = await PutSlotsAsync(store, keys, password, settings.Kdf, cancellationToken);
        await store.PutAsync(ObjectNames.Ring(1), SealRing(keys, created), cancellationToken);
        byte[] config = ConfigBody.Write(
            format, settings.ChunkSize, ConfigBody.DefaultPackTarget, created, 1,
            (settings.Parity.DataShards, settings.Parity.ParityShards, settings.Parity.ShardSize));
        await store.PutAsync(ObjectNames.Config(1), keys.SealEnvelope(EnvelopeKind.Config, ObjectNames.Config(1), config), cancellationToken);
        return await store.TryPutAsync(ObjectNames.Format, format, cancellationToken) ? code : throw VaultErrors.AlreadyAVault(store.Location);
    }

    private static void Check(VaultSettings settings, int passwordLength, KdfCost floor)
    {
        if (!ConfigBody.IsChunkSize(settings.ChunkSize))
        {
            throw VaultErrors.BadSettings($"a chunk size is a power of two from 16 KiB to 4 MiB, not {settings.ChunkSize}");
        }

        if (!settings.Parity.IsValid)
        {
            throw VaultErrors.BadSettings($"parity is none, or 1 to 200 data shards and 1 to 32 parity shards, not {settings.Parity}");
        }

        if (settings.Kdf.MemoryKibibytes < floor.MemoryKibibytes || settings.Kdf.Passes < floor.Passes || settings.Kdf.Lanes < floor.Lanes)
        {
            throw VaultErrors.BadSettings(
                $"a guess of the password must cost at least {floor.MemoryKibibytes / 1024} MiB and {floor.Passes} passes, not {settings.Kdf.MemoryKibibytes / 1024} MiB and {settings.Kdf.Passes}");
        }

        if (passwordLength == 0)
        {
            throw VaultErrors.BadSettings("the password is empty");
        }
    }

    private static async Task CheckEmptyAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        string? other = null;
        bool slots = false;
        await foreach (StoredObject found in store.ListAsync("", cancellationToken))
        {
            if (found.Name == ObjectNames.Format && !found.IsForeign)
            {
                throw VaultErrors.AlreadyAVault(store.Location);
            }

            slots |= found.Name.StartsWith(ObjectNames.Slots, StringComparison.Ordinal);
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

    private static async Task<string> PutSlotsAsync(
        IObjectStore store, VaultKeys keys, ReadOnlyMemory<byte> password, KdfCost cost, CancellationToken cancellationToken)
    {
        Guid first = BackupSession.NewId();
        byte[] slot = await Task.Run(() => KeySlot.ForPassword(keys.VaultId, first, password.Span, cost, keys.Master), cancellationToken);
        await store.PutAsync(ObjectNames.Slot(first), slot, cancellationToken);

        Guid second = BackupSession.NewId();
        (byte[] recovery, string code) = NewRecoverySlot(keys, second);
        await store.PutAsync(ObjectNames.Slot(second), recovery, cancellationToken);
        return code;
    }

    private static (byte[] Slot, string Code) NewRecoverySlot(VaultKeys keys, Guid id)
    {
        Span<byte> secret = stackalloc byte[RecoveryCode.SecretSize];
        RandomNumberGenerator.Fill(secret);
        byte[] slot = KeySlot.ForRecoveryCode(keys.VaultId, id, secret, keys.Master);
        string code = RecoveryCode.Write(secret);
        CryptographicOperations.ZeroMemory(secret);
        return (slot, code);
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
