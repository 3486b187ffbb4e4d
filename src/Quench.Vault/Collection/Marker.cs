using Quench.Blocks;
using Quench.Vault.Index;
using Quench.Vault.Packs;
using Quench.Vault.Points;
using Quench.Vault.Upkeep;

namespace Quench.Vault.Collection;

/// <summary>
/// Finds what the recovery points need. Points are listed before the index is read, so whatever a listed point needs is in it. A page of a map is
/// walked once, whoever shares it.
/// </summary>
internal sealed class Marker(CollectorTools tools)
{
    private const int MaxDoubts = 100;
    private const int Attempts = 5;

    /// <summary>Marks.</summary>
    /// <exception cref="QuenchException">VAULT-071: something that says what is needed can't be read.</exception>
    internal async Task<LiveSet> RunAsync(IProgress<PruneProgress>? progress, CancellationToken cancellationToken)
    {
        HashSet<string> before = [];
        for (int attempt = 1; ; attempt++)
        {
            PointListing listing = await tools.Catalog.ReadAsync(cancellationToken);
            List<(Guid Point, string What)> doubts =
                [.. listing.Points.Where(point => point.Damage is not null).Select(point => (point.Id, $"of recovery point {point.ShortId}, {point.Damage}"))];
            LiveSet? live = doubts.Count > 0 ? null : await MarkAsync(listing, doubts, progress, cancellationToken);
            if (live is not null && doubts.Count == 0)
            {
                return live;
            }

            // What can't be read may have been forgotten and collected by others since the points were listed, or written anew elsewhere since the index
            // was. What is still in doubt when all has been read again is.
            HashSet<Guid> still = [.. (await tools.Catalog.ReadAsync(cancellationToken)).Points.Select(point => point.Id)];
            List<string> left = [.. doubts.Where(doubt => still.Contains(doubt.Point)).Select(doubt => doubt.What)];
            if (attempt == Attempts || left.Exists(before.Contains))
            {
                throw VaultErrors.InDoubt(left.Count > 0 ? left : [.. doubts.Select(doubt => doubt.What)]);
            }

            before.UnionWith(left);
        }
    }

    private async Task<LiveSet> MarkAsync(
        PointListing listing, List<(Guid Point, string What)> doubts, IProgress<PruneProgress>? progress, CancellationToken cancellationToken)
    {
        IChunkIndex index = await tools.Index.RefreshAsync(cancellationToken);
        await tools.Index.RecoverAsync(cancellationToken);
        LiveSet live = new(index) { Forgotten = listing.Forgotten };
        foreach (RecoveryPoint point in listing.Points)
        {
            foreach (VolumeRecord volume in point.Volumes)
            {
                await WalkAsync(point, volume, live, doubts, cancellationToken);
            }

            live.Points++;
            progress?.Report(new PruneProgress("mark", live.Points, listing.Points.Count));
        }

        return live;
    }

    /// <summary>
    /// Of some packs, those that must stay: a needed chunk that lies nowhere else as far as the index knows may yet be in one of them.
    /// The index names one place for each chunk; where that place is gone, the packs' own directories are asked.
    /// </summary>
    internal async Task<HashSet<Guid>> FindNeededAsync(IReadOnlyCollection<Guid> packs, LiveSet live, CancellationToken cancellationToken)
    {
        HashSet<Guid> needed = [.. packs.Where(pack => live.BytesIn(pack) > 0)];
        if (live.Missing.Count == 0)
        {
            return needed;
        }

        foreach (Guid pack in packs.Where(pack => !needed.Contains(pack)).ToList())
        {
            if (tools.Index.Listed.TryGetValue(pack, out long length)
                && await PackReader.TryReadAsync(tools.Store, tools.Keys, pack, length, cancellationToken) is { } contents
                && contents.Entries.Any(entry => live.Missing.Contains(entry.Id)))
            {
                needed.Add(pack);
            }
        }

        return needed;
    }

    private async Task WalkAsync(RecoveryPoint point, VolumeRecord volume, LiveSet live, List<(Guid Point, string What)> doubts, CancellationToken cancellationToken)
    {
        void Doubt(ChunkId page, string why)
        {
            if (doubts.Count < MaxDoubts)
            {
                doubts.Add((point.Id, $"page {page} of the map of volume {volume.Name}, recovery point {point.ShortId}, can't be read: {why}"));
            }
        }

        bool Enter(ChunkId page)
        {
            bool isNew = live.Add(page, out bool known);
            if (!known)
            {
                Doubt(page, "no pack holds it");
            }

            return isNew && known;
        }

        MapWalk walk = new(tools.Chunks, volume, tools.ChunkSize)
        {
            Enter = (page, _, _) => Enter(page),
            Chunk = (id, _, _) => live.Add(id, out _),
            Unreadable = (page, why, _) => Doubt(page, why),
        };
        await walk.RunAsync(cancellationToken);
    }
}
