using System.Globalization;
using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault.Keys;

/// <summary>Lists, adds and removes the ways into an open vault. At every moment of what it does at least one of them opens the vault. (§3.2, §3.6)</summary>
internal sealed class SlotKeeper(IObjectStore store, VaultKeys keys, Guid openedWith, TimeProvider clock)
{
    /// <summary>Every slot that is there, damaged and hostile ones included.</summary>
    internal async Task<IReadOnlyList<KeySlotInfo>> ListAsync(CancellationToken cancellationToken)
    {
        List<KeySlotInfo> slots = [];
        foreach (string name in await RootCopies.ListAsync(store, ObjectNames.Slots, cancellationToken))
        {
            if (ObjectNames.TryParseId(name, out Guid id) && !await SlotRemoval.StandsAsync(store, keys, id, cancellationToken))
            {
                StoreRead primary = await StoreRead.TryAsync(store, name, cancellationToken);
                StoreRead copy = await StoreRead.TryAsync(store, RootCopies.CopyOf(name), cancellationToken);
                slots.Add(Describe(name, id, primary, copy));
            }
        }

        return slots;
    }

    /// <summary>Adds a slot: durable, kept twice, read back and seen to open before this returns.</summary>
    /// <returns>The new slot's id.</returns>
    internal async Task<Guid> AddAsync(SlotType type, ReadOnlyMemory<byte> secret, KdfCost cost, CancellationToken cancellationToken)
    {
        Guid id = BackupSession.NewId();
        byte[] slot = await Task.Run(() => Make(type, id, secret.Span, cost), cancellationToken);
        string name = ObjectNames.Slot(id);
        bool proved = false;
        try
        {
            await RootCopies.PutAsync(store, name, slot, cancellationToken);
            proved = await ProveAsync(name, slot, secret, cancellationToken);
            return proved ? id : throw VaultErrors.SlotNotProved(store.Location, Short(id));
        }
        finally
        {
            if (!proved)
            {
                await TryTakeBackAsync(id);
            }
        }
    }

    /// <summary>Removes a slot, so that it does not open the vault again even if its bytes come back.</summary>
    /// <exception cref="QuenchException">There is no such slot (VAULT-066), or no other way in would be left (VAULT-064).</exception>
    internal async Task RemoveAsync(Guid id, CancellationToken cancellationToken)
    {
        IReadOnlyCollection<string> names = await RootCopies.ListAsync(store, ObjectNames.Slots, cancellationToken);
        if (!names.Contains(ObjectNames.Slot(id)))
        {
            throw VaultErrors.NoSuchSlot(store.Location, Short(id), 0);
        }

        await DemandOtherWayInAsync(id, cancellationToken);
        await SlotRemoval.DeclareAsync(store, keys, id, clock.GetUtcNow(), cancellationToken);

        // Another process may have declared the other one removed between our look and our word. Both look again: then at least one of them sees it.
        if (!await SlotRemoval.HasOtherWayInAsync(store, keys, id, cancellationToken))
        {
            await SlotRemoval.WithdrawAsync(store, id, cancellationToken);
            throw VaultErrors.LastSlot(store.Location, Short(id));
        }

        await RootCopies.DeleteAsync(store, ObjectNames.Slot(id), cancellationToken);
    }

    private async Task DemandOtherWayInAsync(Guid id, CancellationToken cancellationToken)
    {
        if (!await SlotRemoval.HasOtherWayInAsync(store, keys, id, cancellationToken))
        {
            throw VaultErrors.LastSlot(store.Location, Short(id));
        }
    }

    private byte[] Make(SlotType type, Guid id, ReadOnlySpan<byte> secret, KdfCost cost) => type switch
    {
        SlotType.Password => KeySlot.ForPassword(keys.VaultId, id, secret, cost, keys.Master),
        SlotType.RecoveryCode => KeySlot.ForRecoveryCode(keys.VaultId, id, secret, keys.Master),
        _ => KeySlot.ForKeyFile(keys.VaultId, id, secret, keys.Master),
    };

    /// <summary>Whether what the store gives back, of both objects, is what was put, and opens to this vault's master key.</summary>
    private async Task<bool> ProveAsync(string name, byte[] slot, ReadOnlyMemory<byte> secret, CancellationToken cancellationToken)
    {
        byte[]? primary = await store.GetAsync(name, cancellationToken);
        byte[]? copy = await store.GetAsync(RootCopies.CopyOf(name), cancellationToken);
        return primary is not null && copy is not null && primary.AsSpan().SequenceEqual(slot) && copy.AsSpan().SequenceEqual(slot)
            && await Task.Run(() => OpensToOurs(primary, secret.Span), cancellationToken);
    }

    private bool OpensToOurs(byte[] slot, ReadOnlySpan<byte> secret)
    {
        using SecretArena arena = new();
        Secret master = arena.New();
        return KeySlotObject.TryRead(slot, out KeySlotObject read) && KeySlot.TryOpen(read, secret, master.Span)
            && CryptographicOperations.FixedTimeEquals(master.Span, keys.Master);
    }

    /// <summary>What could not be added whole is removed as far as the store still answers; what remains then opens with a secret that nobody was told.</summary>
    private async Task TryTakeBackAsync(Guid id)
    {
        try
        {
            await RootCopies.DeleteAsync(store, ObjectNames.Slot(id), CancellationToken.None);
        }
        catch (QuenchException)
        {
            // the failure that led here is the one to be told
        }
    }

    private KeySlotInfo Describe(string name, Guid id, StoreRead primary, StoreRead copy)
    {
        bool first = IsSound(name, primary);
        bool second = IsSound(name, copy);
        if (!first && !second)
        {
            string why = primary.Failure is { } failure ? "can't be read: " + failure.Message : "damaged";
            return new KeySlotInfo(id, KeySlotKind.Unknown, null, id == openedWith, false, why);
        }

        KeySlotObject slot = new(first ? primary.Content : copy.Content);
        bool usable = KeySlot.IsKnown(slot) && !KeySlot.IsTooCostly(slot);
        string? note = Concern(slot) ?? CopyConcern(first, second, primary, copy);
        return new KeySlotInfo(id, KindOf(slot), CostOf(slot), id == openedWith, usable, note);
    }

    private bool IsSound(string name, StoreRead read) => read.Content is not null && Unlocking.IsSound(keys.VaultId, name, read.Content);

    private static KeySlotKind KindOf(KeySlotObject slot) => !KeySlot.IsKnown(slot) ? KeySlotKind.Unknown : slot.Type switch
    {
        SlotType.Password => KeySlotKind.Password,
        SlotType.RecoveryCode => KeySlotKind.RecoveryCode,
        _ => KeySlotKind.KeyFile,
    };

    private static KdfCost? CostOf(KeySlotObject slot) =>
        slot.Kdf == KeySlotObject.Argon2idKdf && slot.MemoryKibibytes <= int.MaxValue && slot.Passes <= int.MaxValue && slot.Lanes <= int.MaxValue
            ? new KdfCost((int)slot.MemoryKibibytes, (int)slot.Passes, (int)slot.Lanes)
            : null;

    private static string? Concern(KeySlotObject slot)
    {
        if (!KeySlot.IsKnown(slot))
        {
            return "of a type that this program does not know";
        }

        if (KeySlot.IsTooCostly(slot))
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"never tried: it asks for {slot.MemoryKibibytes} KiB, {slot.Passes} passes and {slot.Lanes} lanes");
        }

        bool weak = slot.Kdf == KeySlotObject.Argon2idKdf
            && (slot.MemoryKibibytes < KdfCost.Floor.MemoryKibibytes || slot.Passes < KdfCost.Floor.Passes);
        return weak ? "weak: a guess costs less than 64 MiB and 3 passes" : null;
    }

    private static string? CopyConcern(bool primarySound, bool copySound, StoreRead primary, StoreRead copy) => (primarySound, copySound) switch
    {
        (true, true) => primary.Content.AsSpan().SequenceEqual(copy.Content) ? null : "its copy is another slot",
        (true, false) => copy.Content is null ? "it has no second copy" : "its second copy is damaged",
        _ => primary.Content is null ? "lost; its second copy is used" : "damaged; its second copy is used",
    };

    private static string Short(Guid id) => id.ToString("N")[..8];
}
