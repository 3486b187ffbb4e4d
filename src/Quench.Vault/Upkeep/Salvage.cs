using Quench.Blocks;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>Reads what can be read of an object on a medium that fails in places.</summary>
internal static class Salvage
{
    private const int Step = 4096;

    /// <summary>Reads an object as far as it can be read, to its very last byte; the rest is zeros.</summary>
    /// <param name="store">Where it is.</param>
    /// <param name="name">Its name.</param>
    /// <param name="length">Bytes it has, which may be fewer than it should have.</param>
    /// <param name="into">Receives it; as long as it should be.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether all of it could be read.</returns>
    internal static async Task<bool> ReadAsync(IObjectStore store, string name, long length, Memory<byte> into, CancellationToken cancellationToken)
    {
        Memory<byte> there = into[..(int)Math.Min(length, into.Length)];
        into[there.Length..].Span.Clear();
        if (await TryReadAsync(store, name, 0, there, cancellationToken))
        {
            return there.Length == into.Length;
        }

        for (int at = 0; at < there.Length; at += Step)
        {
            Memory<byte> part = there.Slice(at, Math.Min(Step, there.Length - at));
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
