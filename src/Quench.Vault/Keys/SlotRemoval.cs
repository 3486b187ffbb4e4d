using System.Buffers.Binary;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault.Keys;

/// <summary>What says that a key slot is no way in any more, even if its bytes come back. (§3.6)</summary>
internal static class SlotRemoval
{
    /// <summary>Writes it down. From then on the slot is removed, unless no other way in is left.</summary>
    internal static async Task DeclareAsync(IObjectStore store, VaultKeys keys, Guid slot, DateTimeOffset when, CancellationToken cancellationToken)
    {
        byte[] body = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(body, when.ToUnixTimeMilliseconds());
        string name = ObjectNames.Removal(slot);
        byte[] content = keys.SealEnvelope(EnvelopeKind.RemovedSlot, name, body);
        if (!await store.TryPutAsync(name, content, cancellationToken) && !await IsDeclaredAsync(store, keys, slot, cancellationToken))
        {
            await store.DeleteAsync(name, cancellationToken); // something that says nothing lay in its place
            await store.PutAsync(name, content, cancellationToken);
        }
    }

    /// <summary>Takes the declaration back: for a removal that must not be.</summary>
    internal static Task WithdrawAsync(IObjectStore store, Guid slot, CancellationToken cancellationToken) =>
        store.DeleteAsync(ObjectNames.Removal(slot), cancellationToken);

    /// <summary>Whether a slot is removed.</summary>
    internal static async Task<bool> StandsAsync(IObjectStore store, VaultKeys keys, Guid slot, CancellationToken cancellationToken) =>
        await IsDeclaredAsync(store, keys, slot, cancellationToken) && await HasOtherWayInAsync(store, keys, slot, cancellationToken);

    /// <summary>Whether a sound slot is left that nobody has removed, beside this one.</summary>
    internal static async Task<bool> HasOtherWayInAsync(IObjectStore store, VaultKeys keys, Guid slot, CancellationToken cancellationToken)
    {
        foreach (string name in await RootCopies.ListAsync(store, ObjectNames.Slots, cancellationToken))
        {
            if (ObjectNames.TryParseId(name, out Guid other) && other != slot
                && await IsSoundAsync(store, keys, name, cancellationToken) && !await IsDeclaredAsync(store, keys, other, cancellationToken))
            {
                return true;
            }
        }

        return false;
    }

    private static async Task<bool> IsSoundAsync(IObjectStore store, VaultKeys keys, string name, CancellationToken cancellationToken) =>
        (await RootCopies.TryReadEitherAsync(store, name, bytes => IsWayIn(keys, name, bytes) ? bytes : null, cancellationToken)).Value is not null;

    private static bool IsWayIn(VaultKeys keys, string name, byte[] bytes) =>
        Unlocking.IsSound(keys.VaultId, name, bytes) && KeySlot.IsKnown(new KeySlotObject(bytes)) && !KeySlot.IsTooCostly(new KeySlotObject(bytes));

    private static async Task<bool> IsDeclaredAsync(IObjectStore store, VaultKeys keys, Guid slot, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Removal(slot);
        return await store.GetAsync(name, cancellationToken) is { } bytes
            && keys.TryOpenEnvelope(EnvelopeKind.RemovedSlot, name, bytes) is { Length: >= sizeof(long) };
    }
}
