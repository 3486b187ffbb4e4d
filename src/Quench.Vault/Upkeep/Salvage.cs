using Quench.Blocks;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>Reads what can be read of an object on a medium that fails in places.</summary>
internal static class Salvage
{
    private const int Step = 4096;

    /// <summary>Reads an object as far as it can be read; the rest is zeros.</summary>
    /// <returns>Whether all of it could be read.</returns>
    internal static async Task<bool> ReadAsync(IObjectStore store, string name, Memory<byte> into, CancellationToken cancellationToken)
    {
        if (await TryReadAsync(store, name, 0, into, cancellationToken))
        {
            return true;
        }

        for (int at = 0; at < into.Length; at += Step)
        {
            Memory<byte> part = into.Slice(at, Math.Min(Step, into.Length - at));
            if (!await TryReadAsync(store, name, at, part, cancellationToken))
            {
                part.Span.Clear();
            }
        }

        return false;
    }

    private static async ValueTask<bool> TryReadAsync(IObjectStore store, string name, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        try
        {
            return await store.TryReadAsync(name, offset, into, cancellationToken);
        }
        catch (QuenchException)
        {
            return false; // the medium failed there: that is what parity is for
        }
    }
}
