using System.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>Reads chunks by id out of packs. Thread-safe.</summary>
internal sealed class ChunkReader(IObjectStore store, VaultKeys keys, VaultIndex index, ChunkOpenerPool openers)
{
    private const int Attempts = 4;

    /// <summary>Reads and opens a chunk.</summary>
    /// <param name="id">Its id; not the hole's.</param>
    /// <param name="type">The type it must have.</param>
    /// <param name="plaintext">Receives the plaintext, whose length is known beforehand; undefined when something is wrong.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Null when the plaintext is what the id names; otherwise why it can't be had.</returns>
    internal async ValueTask<string?> TryReadAsync(ChunkId id, byte type, Memory<byte> plaintext, CancellationToken cancellationToken)
    {
        Guid gone = default;
        for (int attempt = 1; ; attempt++)
        {
            if (await index.FindAsync(id, cancellationToken) is not { } place)
            {
                return "no pack holds it";
            }

            if (place.Meta.Type != type || place.Meta.PlainLength != plaintext.Length)
            {
                return $"the index says that it is of type {place.Meta.Type} with {place.Meta.PlainLength} bytes, not of type {type} with {plaintext.Length}";
            }

            (bool isThere, string? why) = await TryReadAtAsync(place, id, plaintext, cancellationToken);
            if (isThere || place.Pack.Id == gone || attempt == Attempts)
            {
                return why;
            }

            gone = place.Pack.Id; // a garbage collection may have moved the chunk since the index was read: look again
        }
    }

    /// <summary>Reads and opens a chunk at its place.</summary>
    /// <returns>Whether there is anything at that place, and what is wrong.</returns>
    private async ValueTask<(bool IsThere, string? Why)> TryReadAtAsync(
        ChunkPlace place, ChunkId id, Memory<byte> plaintext, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Pack(place.Pack.Id);
        byte[] rented = ArrayPool<byte>.Shared.Rent(place.SealedLength);
        try
        {
            Memory<byte> sealedBytes = rented.AsMemory(0, place.SealedLength);
            if (!await store.TryReadAsync(name, place.Offset, sealedBytes, cancellationToken))
            {
                place.Pack.IsPresent = false; // whoever asks for a chunk of it next looks further
                return (false, $"{name} is missing, or ends before it");
            }

            return (true, TryOpen(place, id, sealedBytes.Span, plaintext.Span) ? null : $"{name} is damaged there, at offset {place.Offset}");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private bool TryOpen(ChunkPlace place, ChunkId id, ReadOnlySpan<byte> sealedBytes, Span<byte> plaintext)
    {
        ChunkOpener opener = openers.Rent();
        try
        {
            return opener.TryOpen(keys, place.Pack.Session, id, place.Meta, sealedBytes, plaintext);
        }
        finally
        {
            openers.Return(opener);
        }
    }
}
