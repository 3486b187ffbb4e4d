using Quench.Vault.Format;

namespace Quench.Vault.Collection;

/// <summary>
/// Takes the packs that go out of the index. An index object that names one is replaced: the new one, without it, is durable before the old one is
/// deleted, so that at no moment a chunk that stays is in no index object.
/// </summary>
internal sealed class IndexTidy(CollectorTools tools, CollectionLog log)
{
    private readonly Dictionary<string, Guid[]> _named = new(StringComparer.Ordinal); // the packs of each index object that was read
    private readonly HashSet<string> _damaged = new(StringComparer.Ordinal); // left alone

    /// <summary>
    /// Tidies until nothing is left to do. Looking again matters: a collector that slept may have put back, in a replacement, a pack that another has
    /// deleted meanwhile; whoever did sees it in the next look.
    /// </summary>
    /// <returns>Index objects deleted or replaced.</returns>
    internal async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        int changed = 0;
        int changedNow;
        do
        {
            HashSet<Guid> swept = await log.AllSweptAsync(cancellationToken);
            changedNow = 0;
            foreach (Guid id in await ObjectList.IdsAsync(tools.Store, ObjectNames.Indexes, cancellationToken))
            {
                changedNow += await TidyAsync(ObjectNames.Index(id), swept, cancellationToken) ? 1 : 0;
            }

            changed += changedNow;
        }
        while (changedNow > 0);
        return changed;
    }

    private async Task<bool> TidyAsync(string name, HashSet<Guid> swept, CancellationToken cancellationToken)
    {
        if (_damaged.Contains(name) || (_named.TryGetValue(name, out Guid[]? packs) && !packs.Any(swept.Contains)))
        {
            return false;
        }

        byte[]? bytes = await tools.Store.GetAsync(name, cancellationToken);
        if (bytes is null)
        {
            return false; // another collector was faster
        }

        byte[]? body = tools.Keys.TryOpenEnvelope(EnvelopeKind.Index, name, bytes);
        if (body is null || !TryReadPacks(body, out packs))
        {
            _damaged.Add(name);
            return false;
        }

        _named[name] = packs;
        if (!packs.Any(swept.Contains))
        {
            return false;
        }

        if (Without(swept, body) is { } rest)
        {
            string replacement = ObjectNames.Index(BackupSession.NewId());
            await tools.Store.PutAsync(replacement, tools.Keys.SealEnvelope(EnvelopeKind.Index, replacement, rest), cancellationToken);
        }

        await tools.DeleteAsync(name, cancellationToken);
        return true;
    }

    private static bool TryReadPacks(byte[] body, out Guid[] packs)
    {
        packs = [];
        if (!IndexBody.TryRead(body, out IndexBody index))
        {
            return false;
        }

        packs = new Guid[index.PackCount];
        for (int i = 0; i < packs.Length; i++)
        {
            packs[i] = index.PackId(i);
        }

        return true;
    }

    /// <summary>An index body without some packs.</summary>
    /// <returns>Null when nothing is left.</returns>
    private static byte[]? Without(HashSet<Guid> swept, byte[] body)
    {
        _ = IndexBody.TryRead(body, out IndexBody index);
        int[] numbers = new int[index.PackCount]; // the new number of each pack; -1 when it goes
        int packs = 0;
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = swept.Contains(index.PackId(i)) ? -1 : packs++;
        }

        int entries = 0;
        for (int i = 0; i < index.EntryCount; i++)
        {
            entries += numbers[index.Pack(i)] >= 0 ? 1 : 0;
        }

        return packs == 0 || entries == 0 ? null : Write(index, numbers, packs, entries);
    }

    private static byte[] Write(IndexBody index, int[] numbers, int packs, int entries)
    {
        byte[] body = new byte[IndexBody.SizeOf(packs, entries)];
        IndexBody.WriteHead(body, index.SessionId, index.Epoch, packs, entries, index.WrappedKey, index.Generation);
        Span<byte> next = body.AsSpan(IndexBody.HeadSize);
        for (int i = 0; i < numbers.Length; i++)
        {
            if (numbers[i] >= 0)
            {
                IndexBody.WritePack(next, index.PackId(i), (int)index.PackLength(i));
                next = next[IndexBody.PackSize..];
            }
        }

        for (int i = 0; i < index.EntryCount; i++)
        {
            if (numbers[index.Pack(i)] is >= 0 and int pack)
            {
                IndexBody.WriteEntry(next, index.Id(i), pack, index.Offset(i), index.SealedLength(i), index.Meta(i));
                next = next[IndexBody.EntrySize..];
            }
        }

        return body;
    }
}
