using System.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Packs;

namespace Quench.Vault.Collection;

/// <summary>
/// Writes what is needed of mostly useless packs anew: each chunk is opened, its id computed again, and sealed under a new session's key. A zstd frame
/// stays the frame that it was: how hard to compress was decided by whoever made the backup, and a collection must not undo that, nor pay for it twice.
/// When it completes, the copies are durable and indexed; only then may the old packs be condemned.
/// </summary>
/// <remarks>
/// The session registers as any other, so no collector takes its packs for garbage while they are being filled. It has no point and never asks for a
/// commit key: what it was for is done when the index names its packs, and so it strikes itself off the register.
/// </remarks>
internal sealed class Repacker(CollectorTools tools)
{
    /// <summary>Copies the needed chunks of some packs.</summary>
    internal async Task<Repacked> RunAsync(
        IReadOnlyList<Guid> packs, LiveSet live, long generation, IProgress<PruneProgress>? progress, CancellationToken cancellationToken)
    {
        if (packs.Count == 0)
        {
            return new Repacked([], [], 0);
        }

        SessionKey session = tools.Keys.NewSession(BackupSession.NewId());
        await tools.RegisterAsync(session, "quench vault prune", cancellationToken);
        SealedChunkPool sealedChunks = new(Math.Max(tools.ChunkSize, MapTree.PageSize) + SealedLayout.Overhead);
        using ChunkSealer sealer = new(tools.Keys, session, sealedChunks, tools.ChunkSize, Compression.None);
        await using PackWriter writer = new(
            tools.Store, tools.Keys, session, tools.PackTarget, generation,
            static (_, _, _) => Task.CompletedTask, // the collector reads the index again before it relies on anything
            tools.Parity);
        List<Guid> copied = [];
        List<string> warnings = [];
        foreach (Guid pack in packs)
        {
            string? why = await TryCopyAsync(pack, live, writer, sealer, cancellationToken);
            if (why is null)
            {
                copied.Add(pack);
            }
            else
            {
                warnings.Add($"{ObjectNames.Pack(pack)} was not written anew and stays: {why}");
            }

            progress?.Report(new PruneProgress("repack", copied.Count + warnings.Count, packs.Count));
        }

        await writer.FinishAsync(cancellationToken);
        await tools.DeleteAsync(ObjectNames.Session(session.SessionId), cancellationToken);
        return new Repacked(copied, warnings, writer.Stored.Bytes);
    }

    /// <summary>Copies what is needed of one pack.</summary>
    /// <returns>Null when all of it was copied; otherwise why not.</returns>
    private async Task<string?> TryCopyAsync(Guid pack, LiveSet live, PackWriter writer, ChunkSealer sealer, CancellationToken cancellationToken)
    {
        if (await PackReader.TryReadAsync(tools.Store, tools.Keys, pack, tools.Index.Listed.GetValueOrDefault(pack), cancellationToken) is not { } contents)
        {
            return "its directory does not open";
        }

        foreach (PackEntry entry in contents.Entries.Where(entry => live.NeedsFrom(pack, entry.Id)))
        {
            if (await TrySealAsync(pack, contents.Session, entry, sealer, cancellationToken) is not { } chunk)
            {
                return $"chunk {entry.Id} is damaged there, at offset {entry.Offset}";
            }

            await writer.AddAsync(chunk, cancellationToken);
        }

        return null;
    }

    private async Task<SealedChunk?> TrySealAsync(Guid pack, SessionKey from, PackEntry entry, ChunkSealer sealer, CancellationToken cancellationToken)
    {
        byte[] sealedBytes = ArrayPool<byte>.Shared.Rent(entry.SealedLength);
        byte[] plaintext = ArrayPool<byte>.Shared.Rent(entry.Meta.PlainLength);
        try
        {
            Memory<byte> content = sealedBytes.AsMemory(0, entry.SealedLength);
            return await tools.Store.TryReadAsync(ObjectNames.Pack(pack), entry.Offset, content, cancellationToken)
                ? TrySeal(from, entry, content.Span, plaintext.AsSpan(0, entry.Meta.PlainLength), sealer)
                : null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(sealedBytes);
            ArrayPool<byte>.Shared.Return(plaintext);
        }
    }

    private SealedChunk? TrySeal(SessionKey from, PackEntry entry, ReadOnlySpan<byte> content, Span<byte> plaintext, ChunkSealer sealer)
    {
        int longest = Math.Max(tools.ChunkSize, MapTree.PageSize);
        ChunkOpener opener = tools.Openers.Rent();
        try
        {
            return plaintext.Length <= longest && opener.TryOpen(tools.Keys, from, entry.Id, entry.Meta, content, plaintext, out ReadOnlySpan<byte> payload)
                ? payload.Length <= longest ? sealer.SealAgain(entry.Id, entry.Meta, payload) : sealer.Seal(entry.Meta.Type, entry.Id, null, plaintext)
                : null;
        }
        finally
        {
            tools.Openers.Return(opener);
        }
    }
}

/// <summary>What repacking has done.</summary>
/// <param name="Copied">Packs of which everything needed now lies elsewhere too.</param>
/// <param name="Warnings">Why others stay.</param>
/// <param name="WrittenBytes">Bytes written.</param>
internal sealed record Repacked(IReadOnlyList<Guid> Copied, IReadOnlyList<string> Warnings, long WrittenBytes);
