using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Parity;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>What became of a pack that was looked at.</summary>
internal sealed record Mended
{
    internal static readonly Mended Sound = new() { IsSound = true };

    /// <summary>Nothing of it is missing now.</summary>
    internal bool IsSound { get; init; }

    /// <summary>What was done to it; null when nothing was.</summary>
    internal HealedPack? Healed { get; init; }

    /// <summary>Chunks of it that can't be read.</summary>
    internal IReadOnlyList<PackEntry> Missing { get; init; } = [];

    /// <summary>Bytes that it has now, when something was done to it.</summary>
    internal long Length { get; init; }

    /// <summary>Whether its parity was made again.</summary>
    internal bool ParityMade { get; init; }
}

/// <summary>
/// Looks at one pack after another and heals each in its place, from its parity, from other packs, from good copies. A pack is replaced only by one
/// in which everything opens that opened before, and more does. (§6.6)
/// </summary>
internal sealed class PackMender(IHealingStore store, VaultKeys keys, ChunkOpenerPool openers, ParitySettings settings, PackBook book, LostChunks lost) : IDisposable
{
    private readonly ExactSealer _sealer = new();
    private readonly ReedSolomon? _code = settings.IsNone ? null : new ReedSolomon(settings.DataShards, settings.ParityShards);

    /// <summary>Looks at a pack, and heals it as far as that goes.</summary>
    /// <param name="id">The pack.</param>
    /// <param name="listedLength">Bytes it has in the store; null when it is gone.</param>
    /// <param name="onlyToTheByte">Put nothing but what parity gives back whole: for as long as it is not known where else its chunks are.</param>
    /// <param name="cancellationToken">Gives up; the pack is the old or the new one.</param>
    internal async Task<Mended> RunAsync(Guid id, long? listedLength, bool onlyToTheByte, CancellationToken cancellationToken)
    {
        BookedPack? booked = book.Find(id);
        byte[]? parity = await GetParityAsync(id, cancellationToken);
        if (LengthOf(id, parity, booked, listedLength) is not { } length)
        {
            return new Mended();
        }

        byte[] present = new byte[length];
        bool isWhole = listedLength is { } listed
            && await Salvage.ReadAsync(store, ObjectNames.Pack(id), listed, present, cancellationToken) && listed == length;
        byte[] healed = [.. present];
        HealResult? byParity = TryHeal(id, healed, parity);
        if (isWhole && byParity is { Condition: PackCondition.Whole })
        {
            return Mended.Sound with { ParityMade = await KeepParityAsync(id, present, parity, cancellationToken) };
        }

        PackLook? before = PackLook.Take(keys, openers, id, present, booked);
        if (isWhole && before is { IsSound: true })
        {
            return Mended.Sound with { ParityMade = await KeepParityAsync(id, present, parity, cancellationToken) };
        }

        Attempt attempt = new(id, present, healed, before) { IsThere = listedLength is not null, IsWhole = isWhole, Booked = booked, Parity = parity };
        return await MendAsync(attempt, byParity, onlyToTheByte, cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _sealer.Dispose();

    /// <summary>What a pack must be as long as: the index knows, or its parity does, or it is what it is.</summary>
    private int? LengthOf(Guid id, byte[]? parity, BookedPack? booked, long? listedLength)
    {
        long? length = booked?.Length;
        if (length is null && parity is not null && PackParity.TryReadHeader(parity, keys.VaultId, id, out _, out ParityLayout layout))
        {
            length = layout.PackLength;
        }

        return (length ?? listedLength) is >= SizeClass.Overhead and <= int.MaxValue and { } known ? (int)known : null;
    }

    private HealResult? TryHeal(Guid id, byte[] pack, byte[]? parity) =>
        parity is not null && PackParity.TryReadHeader(parity, keys.VaultId, id, out ParityHeader header, out ParityLayout layout)
            && layout.PackLength == pack.Length
            ? PackParity.Heal(pack, parity, header, layout)
            : null;

    private async Task<Mended> MendAsync(Attempt attempt, HealResult? byParity, bool onlyToTheByte, CancellationToken cancellationToken)
    {
        PackLook? after = PackLook.Take(keys, openers, attempt.Id, attempt.Bytes, attempt.Booked);
        bool toTheByte = byParity is { Condition: PackCondition.Healed } && after is { IsSound: true };
        if (byParity is not null)
        {
            attempt.From.Add("parity");
        }

        if (!toTheByte)
        {
            if ((attempt.Before ?? after) is not { } known)
            {
                return new Mended();
            }

            if (onlyToTheByte)
            {
                return new Mended { Missing = [.. known.Missing] };
            }

            Compose(attempt, known);
            await FillAsync(attempt, known, cancellationToken);
            after = PackLook.Take(keys, openers, attempt.Id, attempt.Bytes, attempt.Booked)!;
        }

        return await StoreAsync(attempt, after!, toTheByte, cancellationToken);
    }

    /// <summary>Takes the best of what is there and what parity gave, piece by piece.</summary>
    private static void Compose(Attempt attempt, PackLook known)
    {
        for (int i = 0; attempt.Before is { } before && i < before.Entries.Length; i++)
        {
            if (before.Opens[i])
            {
                Range range = RangeOf(before.Entries[i]);
                attempt.Present.AsSpan()[range].CopyTo(attempt.Bytes.AsSpan()[range]);
            }
        }

        // Header, directory and footer that open are worth more than those that parity gave, which may not.
        if (attempt.Before is { IsFramed: true, Entries: [.., var last] })
        {
            attempt.Present.AsSpan(0, PackHeader.Size).CopyTo(attempt.Bytes);
            int end = last.Offset + last.SealedLength;
            attempt.Present.AsSpan(end).CopyTo(attempt.Bytes.AsSpan(end));
        }
        else if (!known.IsFramed && PackFraming.Fits(attempt.Bytes.Length, known.Entries))
        {
            PackFraming.Write(attempt.Bytes, attempt.Id, known.Session, known.Entries);
        }
    }

    /// <summary>Seals again what is missing and can be had elsewhere.</summary>
    private async Task FillAsync(Attempt attempt, PackLook known, CancellationToken cancellationToken)
    {
        PackLook now = PackLook.Take(keys, openers, attempt.Id, attempt.Bytes, new BookedPack(attempt.Bytes.Length, known.Session, known.Entries))!;
        foreach (PackEntry entry in now.Missing.Where(entry => entry.Meta.IsValid && (long)entry.Offset + entry.SealedLength <= attempt.Bytes.Length))
        {
            Memory<byte> plaintext = new byte[entry.Meta.PlainLength];
            string? from = await TryElsewhereAsync(attempt.Id, entry, plaintext, cancellationToken)
                ?? await lost.TryGetAsync(entry.Id, entry.Meta, plaintext, cancellationToken);
            byte[] sealedAgain = new byte[entry.SealedLength];
            if (from is not null && _sealer.TrySeal(known.Session, entry.Id, entry.Meta, plaintext.Span, sealedAgain))
            {
                sealedAgain.CopyTo(attempt.Bytes, entry.Offset);
                attempt.From.Add(from);
                attempt.IsSealedAgain = true;
            }
        }
    }

    /// <summary>Gets a chunk's plaintext from another pack that has it too.</summary>
    private async Task<string?> TryElsewhereAsync(Guid packId, PackEntry wanted, Memory<byte> plaintext, CancellationToken cancellationToken)
    {
        foreach ((Guid pack, SessionKey session, PackEntry entry) in book.Places(wanted.Id))
        {
            if (pack == packId || entry.Meta.PlainLength != plaintext.Length || entry.Meta.Type != wanted.Meta.Type)
            {
                continue;
            }

            byte[] sealedBytes = new byte[entry.SealedLength];
            ChunkOpener opener = openers.Rent();
            bool found = await ReadPartAsync(pack, entry.Offset, sealedBytes, cancellationToken)
                && opener.TryOpen(keys, session, entry.Id, entry.Meta, sealedBytes, plaintext.Span);
            openers.Return(opener);
            if (found)
            {
                return ObjectNames.Pack(pack);
            }
        }

        return null;
    }

    private async Task<Mended> StoreAsync(Attempt attempt, PackLook after, bool toTheByte, CancellationToken cancellationToken)
    {
        PackEntry[] missing = [.. after.Missing];
        int gained = Gained(attempt.Before, after);
        bool keepsAll = attempt.Before is null || attempt.Before.Entries.Where((_, i) => attempt.Before.Opens[i]).All(entry => !missing.Contains(entry));
        bool better = gained > 0 || (after.IsFramed && attempt.Before is not { IsFramed: true }) || (!attempt.IsWhole && after.IsFramed);
        bool stored = keepsAll && better && !await HidesBetterAsync(attempt, missing, cancellationToken) && await PutAsync(attempt, after, cancellationToken);
        if (!stored)
        {
            return new Mended { Missing = attempt.IsThere ? [.. (attempt.Before ?? after).Missing] : after.Entries };
        }

        bool remake = after.IsSound || attempt.IsSealedAgain; // the old parity heals better what has only rotted
        return new Mended
        {
            IsSound = after.IsSound,
            Length = attempt.Bytes.Length,
            Missing = missing,
            ParityMade = remake && await KeepParityAsync(attempt.Id, attempt.Bytes, attempt.Parity, cancellationToken),
            Healed = new HealedPack(ObjectNames.Pack(attempt.Id), toTheByte, attempt.IsThere ? gained : after.Entries.Length - missing.Length, missing.Length, [.. attempt.From]),
        };
    }

    /// <summary>
    /// A pack that readers pass over now, because it is gone or has another length, counts for them again once it is put: then it must not take the
    /// place of a pack that has what it lacks.
    /// </summary>
    private async Task<bool> HidesBetterAsync(Attempt attempt, PackEntry[] missing, CancellationToken cancellationToken)
    {
        foreach (PackEntry entry in attempt.IsWhole ? [] : missing.Where(entry => entry.Meta.IsValid))
        {
            if (await TryElsewhereAsync(attempt.Id, entry, new byte[entry.Meta.PlainLength], cancellationToken) is not null)
            {
                return true;
            }
        }

        return false;
    }

    private static int Gained(PackLook? before, PackLook after)
    {
        HashSet<ChunkId> had = before is null ? [] : [.. before.Entries.Where((_, i) => before.Opens[i]).Select(entry => entry.Id)];
        return after.Entries.Where((entry, i) => after.Opens[i] && !had.Contains(entry.Id)).Count();
    }

    /// <summary>Puts the healed pack in its place; one that is gone comes back only if a point needs what it alone has.</summary>
    private async Task<bool> PutAsync(Attempt attempt, PackLook after, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Pack(attempt.Id);
        if (attempt.IsThere)
        {
            return await store.ReplaceAsync(name, attempt.Bytes, cancellationToken);
        }

        foreach (PackEntry entry in after.Entries.Where((entry, i) => after.Opens[i] && lost.IsNeeded(entry.Id)))
        {
            if (await TryElsewhereAsync(attempt.Id, entry, new byte[entry.Meta.PlainLength], cancellationToken) is null)
            {
                return await store.TryPutAsync(name, attempt.Bytes, cancellationToken);
            }
        }

        return false;
    }

    /// <summary>Makes a sound pack's parity again when it is missing or not its own.</summary>
    /// <returns>Whether it had to be made.</returns>
    private async Task<bool> KeepParityAsync(Guid id, byte[] pack, byte[]? present, CancellationToken cancellationToken)
    {
        if (_code is null || (present is not null && PackParity.IsSound(present, keys.VaultId, id, pack)))
        {
            return false;
        }

        byte[] made = new byte[PackParity.SizeOf(pack.Length, settings)];
        PackParity.Write(made, pack, keys.VaultId, id, _code, settings);
        string name = ObjectNames.Parity(id);
        return await store.ReplaceAsync(name, made, cancellationToken) || await store.TryPutAsync(name, made, cancellationToken);
    }

    private async Task<byte[]?> GetParityAsync(Guid id, CancellationToken cancellationToken)
    {
        try
        {
            return await store.GetAsync(ObjectNames.Parity(id), cancellationToken);
        }
        catch (QuenchException)
        {
            return null; // unreadable is as good as missing: it is made again
        }
    }

    private async Task<bool> ReadPartAsync(Guid pack, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        try
        {
            return await store.TryReadAsync(ObjectNames.Pack(pack), offset, into, cancellationToken);
        }
        catch (QuenchException)
        {
            return false;
        }
    }

    private static Range RangeOf(PackEntry entry) => entry.Offset..(entry.Offset + entry.SealedLength);

    /// <summary>A damaged pack under the hands of the mender.</summary>
    private sealed class Attempt(Guid id, byte[] present, byte[] bytes, PackLook? before)
    {
        internal Guid Id { get; } = id;

        /// <summary>What could be read.</summary>
        internal byte[] Present { get; } = present;

        /// <summary>What it will be.</summary>
        internal byte[] Bytes { get; } = bytes;

        internal PackLook? Before { get; } = before;

        internal required bool IsThere { get; init; }

        /// <summary>Whether all of it could be read, and it has its length.</summary>
        internal required bool IsWhole { get; init; }

        internal required BookedPack? Booked { get; init; }

        internal required byte[]? Parity { get; init; }

        /// <summary>Whether a chunk was sealed again, so that its bytes are new.</summary>
        internal bool IsSealedAgain { get; set; }

        internal SortedSet<string> From { get; } = new(StringComparer.Ordinal);
    }
}
