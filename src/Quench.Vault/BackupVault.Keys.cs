using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <content>The ways into the vault, and the second copies of its roots.</content>
public sealed partial class BackupVault
{
    private SlotKeeper Slots => new(_store, _keys, _opening.Slot, _clock);

    /// <summary>Opens a vault with a secret of some kind. Writes nothing.</summary>
    /// <param name="store">Where; owned by the vault once the task has succeeded.</param>
    /// <param name="kind">What the secret is.</param>
    /// <param name="secret">The secret; borrowed.</param>
    /// <param name="clock">Sessions take their times from it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">As for a password: VAULT-001 to VAULT-006.</exception>
    public static async Task<BackupVault> OpenAsync(
        IObjectStore store, SecretKind kind, ReadOnlyMemory<byte> secret, TimeProvider clock, CancellationToken cancellationToken) =>
        new(store, await VaultOpening.OpenAsync(store, kind, secret, cancellationToken), clock);

    /// <summary>Every way into the vault that has not been removed, damaged and hostile ones included.</summary>
    public Task<IReadOnlyList<KeySlotInfo>> ListKeysAsync(CancellationToken cancellationToken) => Slots.ListAsync(cancellationToken);

    /// <summary>Finds a key slot.</summary>
    /// <param name="idPrefix">The first digits of its id, at least one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">VAULT-066: none begins so, or more than one does.</exception>
    public async Task<KeySlotInfo> FindKeyAsync(string idPrefix, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(idPrefix);
        List<KeySlotInfo> found = [.. (await ListKeysAsync(cancellationToken))
            .Where(slot => slot.Id.ToString("N").StartsWith(idPrefix, StringComparison.OrdinalIgnoreCase))];
        return found.Count == 1 ? found[0] : throw VaultErrors.NoSuchSlot(_store.Location, idPrefix, found.Count);
    }

    /// <summary>Adds a password. When the task completes the new slot is durable, kept twice, and has been seen to open.</summary>
    /// <param name="password">The password, as UTF-8, not empty; borrowed.</param>
    /// <param name="cost">What a guess is to cost: no less than <see cref="KdfCost.Floor"/>.</param>
    /// <param name="cancellationToken">Gives up; then there is no new slot, or one that opens.</param>
    /// <returns>The new slot's id.</returns>
    /// <exception cref="QuenchException">The password is empty or the cost too low (VAULT-013), or the slot did not read back (VAULT-065).</exception>
    public Task<Guid> AddPasswordAsync(ReadOnlyMemory<byte> password, KdfCost cost, CancellationToken cancellationToken) =>
        AddPasswordAsync(password, cost, KdfCost.Floor, cancellationToken);

    /// <summary>Adds a key file, which <see cref="KeyFile.Create"/> has made. Durable and proved as a password is.</summary>
    /// <param name="secret">What the file holds; borrowed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The new slot's id.</returns>
    public Task<Guid> AddKeyFileAsync(ReadOnlyMemory<byte> secret, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(secret.Length, KeyFile.Size);
        _opening.CheckWritable(_store.Location);
        return Slots.AddAsync(SlotType.KeyFile, secret, default, cancellationToken);
    }

    /// <summary>Adds a recovery code. Durable and proved as a password is. Those that there are go on opening the vault.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The code as it is written on paper, in ASCII, the caller's to dispose: it exists nowhere else. And its slot's id.</returns>
    public async Task<(SecretBytes Code, Guid Slot)> AddRecoveryCodeAsync(CancellationToken cancellationToken)
    {
        _opening.CheckWritable(_store.Location);
        using SecretBytes secret = new(RecoveryCode.SecretSize);
        RandomNumberGenerator.Fill(secret.Span);
        Guid slot = await Slots.AddAsync(SlotType.RecoveryCode, secret.Memory, default, cancellationToken);
        SecretBytes code = new(RecoveryCode.TextLength);
        RecoveryCode.Write(secret.Span, code.Span);
        return (code, slot);
    }

    /// <summary>Removes a way in. What it opened stays open; the master key does not change, so this takes no knowledge back. (docs/vault-format.md §3.6)</summary>
    /// <param name="slot">The slot's id.</param>
    /// <param name="cancellationToken">Gives up; repeating the removal finishes it.</param>
    /// <exception cref="QuenchException">It is the last sound one (VAULT-064), or there is none (VAULT-066).</exception>
    public async Task RemoveKeyAsync(Guid slot, CancellationToken cancellationToken)
    {
        _opening.CheckWritable(_store.Location);
        await Slots.RemoveAsync(slot, cancellationToken);
    }

    /// <summary>Puts a new password in a slot's place. The new slot is durable and proved before the old one goes; a crash in between leaves both.</summary>
    /// <param name="old">The slot to replace; null for the one that opened the vault, or the only one that a password opens.</param>
    /// <param name="password">The new password, as UTF-8, not empty; borrowed.</param>
    /// <param name="cost">What a guess is to cost: no less than <see cref="KdfCost.Floor"/>.</param>
    /// <param name="cancellationToken">Gives up; the old password opens the vault then, or the new one, or both.</param>
    /// <returns>The new slot's id, and the old one's.</returns>
    /// <exception cref="QuenchException">It is not clear which slot is meant, or it is none of a password (VAULT-067); else as for adding and removing.</exception>
    public Task<(Guid New, Guid Old)> ChangePasswordAsync(Guid? old, ReadOnlyMemory<byte> password, KdfCost cost, CancellationToken cancellationToken) =>
        ChangePasswordAsync(old, password, cost, KdfCost.Floor, cancellationToken);

    internal Task<Guid> AddPasswordAsync(ReadOnlyMemory<byte> password, KdfCost cost, KdfCost floor, CancellationToken cancellationToken)
    {
        VaultCreation.CheckPassword(password.Length, cost, floor, "no key was added");
        _opening.CheckWritable(_store.Location);
        return Slots.AddAsync(SlotType.Password, password, cost, cancellationToken);
    }

    internal async Task<(Guid New, Guid Old)> ChangePasswordAsync(
        Guid? old, ReadOnlyMemory<byte> password, KdfCost cost, KdfCost floor, CancellationToken cancellationToken)
    {
        Guid replaced = PasswordToReplace(old, await ListKeysAsync(cancellationToken));
        Guid added = await AddPasswordAsync(password, cost, floor, cancellationToken);
        try
        {
            await Slots.RemoveAsync(replaced, cancellationToken);
        }
        catch (QuenchException failure)
        {
            throw new QuenchException(failure.Code, failure.Message, $"remove the old one later: quench vault key remove {replaced.ToString("N")[..8]}", failure)
            {
                Effect = "the new password opens the vault; the old one may open it still",
                CanRetry = failure.CanRetry,
            };
        }

        return (added, replaced);
    }

    /// <summary>Makes the second copies that are missing, and puts damaged or lost roots back from theirs. (docs/vault-format.md §2.1)</summary>
    internal Task<RootRepairReport> HealRootsAsync(CancellationToken cancellationToken)
    {
        _opening.CheckWritable(_store.Location);
        return RootCopies.HealAsync(_store, Judge, cancellationToken);
    }

    private RootJudge Judge => new(_keys, _opening.Format);

    private Guid PasswordToReplace(Guid? wanted, IReadOnlyList<KeySlotInfo> slots)
    {
        List<KeySlotInfo> passwords = [.. slots.Where(slot => slot.Kind == KeySlotKind.Password && (wanted is null || slot.Id == wanted))];
        if (wanted is null && passwords.Find(slot => slot.OpenedThis) is { } ours)
        {
            return ours.Id;
        }

        return passwords.Count == 1
            ? passwords[0].Id
            : throw VaultErrors.NotAPassword(_store.Location, wanted is not null ? "the slot is not one that a password opens" : $"{passwords.Count} of its slots are opened by one");
    }
}
