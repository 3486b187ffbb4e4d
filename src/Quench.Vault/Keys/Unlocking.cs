using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault.Keys;

/// <summary>Finds a key slot that a secret opens. (§3.2)</summary>
internal sealed class Unlocking(IObjectStore store, Guid vaultId)
{
    private int _slots;
    private int _damaged;
    private long _tooCostly; // MiB that the most modest of the slots that were refused asks for
    private StoreRead _unread; // the last slot that the medium would not give

    /// <summary>Tries a secret: a key file on the slots of key files; what was typed as a recovery code where it is one, as a password otherwise.</summary>
    /// <returns>The vault's keys, the caller's, and the slot that gave them.</returns>
    internal async Task<(VaultKeys Keys, Guid Slot)> RunAsync(SecretKind kind, ReadOnlyMemory<byte> secret, CancellationToken cancellationToken)
    {
        List<byte[]> slots = await ReadSlotsAsync(cancellationToken);
        using SecretArena arena = new();
        Secret master = arena.New();
        foreach (byte[] slot in slots)
        {
            if (await Task.Run(() => TryOpen(kind, slot, secret.Span, master.Span), cancellationToken)
                && await TryTakeAsync(new KeySlotObject(slot).SlotId, master, cancellationToken) is { } keys)
            {
                return (keys, new KeySlotObject(slot).SlotId);
            }
        }

        throw Failure(kind);
    }

    /// <summary>Whether a slot is undamaged, this vault's, and the one that its name says.</summary>
    internal static bool IsSound(Guid vaultId, string name, ReadOnlySpan<byte> bytes) =>
        KeySlotObject.TryRead(bytes, out KeySlotObject slot) && slot.VaultId == vaultId && ObjectNames.Slot(slot.SlotId) == name;

    /// <summary>The keys, unless the slot that gave the master key has been removed. (§3.6)</summary>
    private async Task<VaultKeys?> TryTakeAsync(Guid slot, Secret master, CancellationToken cancellationToken)
    {
        VaultKeys keys = VaultKeys.From(vaultId, master.Span);
        bool taken = false;
        try
        {
            taken = !await SlotRemoval.StandsAsync(store, keys, slot, cancellationToken);
            return taken ? keys : null;
        }
        finally
        {
            if (!taken)
            {
                keys.Dispose();
            }
        }
    }

    private QuenchException Failure(SecretKind kind)
    {
        if (_unread.Failure is { } unread)
        {
            return unread; // the right slot may be the one that can't be read
        }

        if (_slots == 0 || _damaged == _slots)
        {
            return VaultErrors.DamagedVault(store.Location, _slots == 0 ? "it has no key slots" : "all its key slots are damaged");
        }

        return _tooCostly > 0 ? VaultErrors.SlotTooCostly(store.Location, _tooCostly)
            : kind == SecretKind.KeyFile ? VaultErrors.WrongKeyFile(store.Location, _damaged)
            : VaultErrors.WrongPassword(store.Location, _damaged);
    }

    /// <summary>Reads the sound slots, the cheap ones first; primary and copy of a slot count as two where they differ. (§2.1)</summary>
    private async Task<List<byte[]>> ReadSlotsAsync(CancellationToken cancellationToken)
    {
        List<byte[]> slots = [];
        foreach (string name in await RootCopies.ListAsync(store, ObjectNames.Slots, cancellationToken))
        {
            StoreRead primary = await StoreRead.TryAsync(store, name, cancellationToken);
            StoreRead copy = await StoreRead.TryAsync(store, RootCopies.CopyOf(name), cancellationToken);
            byte[][] sound = [.. new[] { primary.Content, copy.Content }.OfType<byte[]>().Where(bytes => IsSound(vaultId, name, bytes))];
            slots.AddRange(sound.Length == 2 && sound[0].AsSpan().SequenceEqual(sound[1]) ? sound[..1] : sound);
            _slots++;
            _damaged += sound.Length == 0 ? 1 : 0;
            _unread = sound.Length == 0 && primary.Failure is not null ? primary : _unread;
        }

        slots.Sort((a, b) => new KeySlotObject(a).MemoryKibibytes.CompareTo(new KeySlotObject(b).MemoryKibibytes));
        return slots;
    }

    private bool TryOpen(SecretKind kind, byte[] bytes, ReadOnlySpan<byte> secret, Span<byte> master)
    {
        KeySlotObject slot = new(bytes);
        if (!KeySlot.IsKnown(slot) || (slot.Type == SlotType.KeyFile) != (kind == SecretKind.KeyFile))
        {
            return false;
        }

        return slot.Type switch
        {
            SlotType.Password => IsAffordable(slot) && KeySlot.TryOpen(slot, secret, master),
            SlotType.KeyFile => secret.Length == KeyFile.Size && KeySlot.TryOpen(slot, secret, master),
            _ => TryCode(slot, secret, master),
        };
    }

    private static bool TryCode(KeySlotObject slot, ReadOnlySpan<byte> typed, Span<byte> master)
    {
        Span<byte> code = stackalloc byte[RecoveryCode.SecretSize];
        bool opened = RecoveryCode.TryRead(typed, code) && KeySlot.TryOpen(slot, code, master);
        System.Security.Cryptography.CryptographicOperations.ZeroMemory(code);
        return opened;
    }

    private bool IsAffordable(KeySlotObject slot)
    {
        if (!KeySlot.IsTooCostly(slot))
        {
            return true;
        }

        long mebibytes = Math.Max(1, slot.MemoryKibibytes / 1024);
        _tooCostly = _tooCostly == 0 ? mebibytes : Math.Min(_tooCostly, mebibytes);
        return false;
    }
}
