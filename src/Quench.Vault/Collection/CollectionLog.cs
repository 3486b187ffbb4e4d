using System.Buffers.Binary;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Stores;

namespace Quench.Vault.Collection;

/// <summary>How far the newest generation is.</summary>
/// <param name="Number">Its number; 0 when there has been none.</param>
/// <param name="IsCondemned">Whether its list of condemned packs stands.</param>
/// <param name="IsSwept">Whether its list of packs to delete stands.</param>
/// <param name="IsDone">Whether it is over.</param>
internal readonly record struct GenerationState(long Number, bool IsCondemned, bool IsSwept, bool IsDone)
{
    /// <summary>Whether somebody began it and nobody has ended it.</summary>
    internal bool IsUnfinished => Number > 0 && !IsDone;
}

/// <summary>The packs that unfinished generations have condemned.</summary>
/// <param name="Generation">The newest generation; 0 when there has been none.</param>
/// <param name="Packs">The packs.</param>
/// <param name="Damaged">A list of such packs that can't be read; null when all can.</param>
internal sealed record CondemnedPacks(long Generation, IReadOnlySet<Guid> Packs, string? Damaged)
{
    internal static CondemnedPacks None { get; } = new(0, new HashSet<Guid>(), null);
}

/// <summary>
/// What collectors tell one another, and the sessions, in gc/. Each object is put if absent: of several collectors one wins, and all go on with
/// what it has put. None of them is ever deleted, so that a collector which has slept finds the decision and not a free name. (§11.1)
/// </summary>
internal sealed class CollectionLog(IObjectStore store, VaultKeys keys)
{
    /// <summary>Finds the newest generation.</summary>
    internal async Task<GenerationState> ReadAsync(CancellationToken cancellationToken)
    {
        (HashSet<string> names, long newest) = await ListAsync(cancellationToken);
        return newest == 0
            ? default
            : new GenerationState(
                newest, names.Contains(ObjectNames.Condemned(newest)), names.Contains(ObjectNames.Sweep(newest)), names.Contains(ObjectNames.Done(newest)));
    }

    /// <summary>Reads which packs nobody may rely on: what a finished generation condemned is either deleted, or was taken back and stays.</summary>
    internal async Task<CondemnedPacks> ReadCondemnedAsync(CancellationToken cancellationToken)
    {
        (HashSet<string> names, long newest) = await ListAsync(cancellationToken);
        HashSet<Guid> packs = [];
        string? damaged = null;
        foreach (string name in names)
        {
            if (!ObjectNames.TryParseNumber(name, ObjectNames.Collections, out long number) || name != ObjectNames.Condemned(number) || names.Contains(ObjectNames.Done(number)))
            {
                continue;
            }

            if (await CondemnedAsync(number, cancellationToken) is { } condemned)
            {
                packs.UnionWith(condemned);
            }
            else
            {
                damaged = name;
            }
        }

        return new CondemnedPacks(newest, packs, damaged);
    }

    /// <summary>Puts a generation's condemned packs, unless somebody has.</summary>
    /// <returns>Those that stand; null when the list that stands can't be read.</returns>
    internal Task<HashSet<Guid>?> CondemnAsync(long generation, IReadOnlyCollection<Guid> packs, CancellationToken cancellationToken) =>
        DecideAsync(EnvelopeKind.Condemned, ObjectNames.Condemned(generation), generation, packs, cancellationToken);

    /// <summary>Puts the packs that a generation deletes, unless somebody has.</summary>
    /// <returns>Those that stand; null when the list that stands can't be read.</returns>
    internal Task<HashSet<Guid>?> SweepAsync(long generation, IReadOnlyCollection<Guid> packs, CancellationToken cancellationToken) =>
        DecideAsync(EnvelopeKind.Sweep, ObjectNames.Sweep(generation), generation, packs, cancellationToken);

    /// <summary>Reads a generation's condemned packs.</summary>
    /// <returns>Null when they can't be read.</returns>
    internal Task<HashSet<Guid>?> CondemnedAsync(long generation, CancellationToken cancellationToken) =>
        ReadListAsync(EnvelopeKind.Condemned, ObjectNames.Condemned(generation), cancellationToken);

    /// <summary>Reads the packs that a generation deletes.</summary>
    /// <returns>Null when they can't be read.</returns>
    internal Task<HashSet<Guid>?> SweptAsync(long generation, CancellationToken cancellationToken) =>
        ReadListAsync(EnvelopeKind.Sweep, ObjectNames.Sweep(generation), cancellationToken);

    /// <summary>Ends a generation: all that it was to delete has been deleted.</summary>
    internal async Task EndAsync(long generation, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Done(generation);
        byte[] body = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(body, generation);
        _ = await store.TryPutAsync(name, keys.SealEnvelope(EnvelopeKind.Done, name, body), cancellationToken);
    }

    /// <summary>All packs that any generation has deleted or is about to. A pack's name is never used twice, so none of them comes back.</summary>
    internal async Task<HashSet<Guid>> AllSweptAsync(CancellationToken cancellationToken)
    {
        HashSet<Guid> swept = [];
        (HashSet<string> names, _) = await ListAsync(cancellationToken);
        foreach (string name in names.Where(name => name.EndsWith("/sweep", StringComparison.Ordinal)))
        {
            swept.UnionWith(await ReadListAsync(EnvelopeKind.Sweep, name, cancellationToken) ?? []);
        }

        return swept;
    }

    private async Task<(HashSet<string> Names, long Newest)> ListAsync(CancellationToken cancellationToken)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        long newest = 0;
        await foreach (StoredObject found in store.ListAsync(ObjectNames.Collections, cancellationToken))
        {
            if (!found.IsForeign && ObjectNames.TryParseNumber(found.Name, ObjectNames.Collections, out long number) && IsOurs(found.Name, number))
            {
                names.Add(found.Name);
                newest = Math.Max(newest, number);
            }
        }

        return (names, newest);
    }

    private static bool IsOurs(string name, long number) =>
        name == ObjectNames.Condemned(number) || name == ObjectNames.Sweep(number) || name == ObjectNames.Done(number);

    private async Task<HashSet<Guid>?> DecideAsync(
        EnvelopeKind kind, string name, long generation, IReadOnlyCollection<Guid> packs, CancellationToken cancellationToken)
    {
        byte[] bytes = keys.SealEnvelope(kind, name, PackListBody.Write(generation, [.. packs.Order()]));
        return await store.TryPutAsync(name, bytes, cancellationToken) ? [.. packs] : await ReadListAsync(kind, name, cancellationToken);
    }

    private async Task<HashSet<Guid>?> ReadListAsync(EnvelopeKind kind, string name, CancellationToken cancellationToken)
    {
        byte[]? bytes = await store.GetAsync(name, cancellationToken);
        return bytes is null ? null : TryTake(keys.TryOpenEnvelope(kind, name, bytes));
    }

    private static HashSet<Guid>? TryTake(byte[]? body)
    {
        if (body is null || !PackListBody.TryRead(body, out PackListBody list))
        {
            return null;
        }

        HashSet<Guid> packs = [];
        for (int i = 0; i < list.Count; i++)
        {
            packs.Add(list.PackId(i));
        }

        return packs;
    }
}
