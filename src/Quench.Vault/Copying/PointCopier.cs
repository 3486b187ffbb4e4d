using Quench.Blocks;
using Quench.Vault.Copying;

namespace Quench.Vault;

/// <summary>
/// Copies recovery points from one vault into another, in which they stand as if they had been made there: opened and identified again under the
/// source's keys, then named, sealed and stored under the target's. Only what the target lacks is stored. One point at a time.
/// </summary>
/// <remarks>
/// <para>A copy keeps the point's host, instant, tags, notes and all that is known of its volumes, proofs included; what was new and what was stored
/// is this copy's. Its notes say where the point came from (<see cref="PointOrigin"/>); by them a second copy of the same point is noticed.
/// The hash of a proof is over the chunks of the vault that it was made in.</para>
/// <para>An interrupted copy has made no point. What it stored is indexed every 256 MiB and found there by the next one.</para>
/// <para>What has been learnt about the names of chunks is forgotten when the target's garbage collection has moved on, and when a copy fails:
/// what is assumed to be there was stored, or relied on, in a session that committed. (docs/vault-format.md §11.1)</para>
/// </remarks>
/// <param name="source">Where from; borrowed.</param>
/// <param name="target">Where to; borrowed. Another vault than the source.</param>
/// <param name="progress">Told now and then, from any thread; null when nobody wants to know.</param>
public sealed class PointCopier(BackupVault source, BackupVault target, IProgress<CopyProgress>? progress)
{
    private readonly IdMap _known = new();
    private IReadOnlyList<RecoveryPoint>? _sources; // the source's points when they were first needed: which of them lies before another
    private List<RecoveryPoint>? _there; // the target's sound points, as of the last listing
    private long _generation = -1; // of the target, when _known was learnt

    /// <summary>How much is stored before it is made durable and indexed, so that an interrupted copy need not store it again.</summary>
    internal long BytesBetweenSettlements { get; init; } = 256L << 20;

    /// <summary>Copies a point, unless the target has it.</summary>
    /// <param name="point">A point of the source.</param>
    /// <param name="cancellationToken">Gives up; then there is no new point, unless the commit was under way.</param>
    /// <returns>The point in the target: durable.</returns>
    /// <exception cref="QuenchException">
    /// Source and target are one vault (VAULT-051); the point is damaged (VAULT-022), or something it needs (VAULT-041); and what
    /// <see cref="BackupSession.CommitAsync"/> throws. No point has been made then.
    /// </exception>
    public async Task<CopiedPoint> CopyAsync(RecoveryPoint point, CancellationToken cancellationToken)
    {
        if (source.Info.Id == target.Info.Id)
        {
            throw VaultErrors.SameVault(source.Info.Id);
        }

        if (point.Damage is { } damage)
        {
            throw VaultErrors.DamagedPoint(point.ShortId, damage);
        }

        PointOrigin origin = PointOrigin.Of(point, source.Info.Id);
        _there ??= await ListTargetAsync(cancellationToken);
        if (FindCopy(origin) is { } present)
        {
            return new CopiedPoint(point, present, WasThere: true, 0, default);
        }

        try
        {
            return await CopyNewAsync(point, origin, cancellationToken);
        }
        catch
        {
            _known.Clear();
            throw;
        }
    }

    private async Task<CopiedPoint> CopyNewAsync(RecoveryPoint point, PointOrigin origin, CancellationToken cancellationToken)
    {
        await using BackupSession session = await target.BeginAsync(point.Host, cancellationToken);
        if (session.Generation != _generation)
        {
            _generation = session.Generation;
            _known.Clear();
        }

        _there = await ListTargetAsync(cancellationToken); // after the session began: what a live point needs stays, or the session is revoked
        if (FindCopy(origin) is { } present)
        {
            return new CopiedPoint(point, present, WasThere: true, 0, default);
        }

        Progress tally = new(progress, point.Volumes.Sum(volume => volume.Length));
        RecoveryPoint? earlier = await FindEarlierAsync(point, cancellationToken);
        List<VolumeRecord> volumes = [];
        long readBytes = 0;
        using (ChunkSink sink = new(session, BytesBetweenSettlements))
        {
            foreach (VolumeRecord volume in point.Volumes)
            {
                (VolumeRecord copied, long read) = await CopyVolumeAsync(volume, session, sink, earlier, tally, cancellationToken);
                volumes.Add(copied);
                readBytes += read;
                tally.FinishVolume(volume.Length);
            }
        }

        PointDraft draft = new() { Host = point.Host, Instant = point.Instant, Volumes = volumes, Tags = point.Tags, Notes = origin.AddTo(point.Notes), Coordination = point.Coordination };
        RecoveryPoint copy = await session.CommitAsync(draft, cancellationToken);
        _there.Add(copy);
        return new CopiedPoint(point, copy, WasThere: false, readBytes, session.Totals);
    }

    private async Task<(VolumeRecord Volume, long ReadBytes)> CopyVolumeAsync(
        VolumeRecord volume, BackupSession session, ChunkSink sink, RecoveryPoint? earlier, Progress tally, CancellationToken cancellationToken)
    {
        SessionTotals before = session.Totals;
        ChunkId root;
        long read;
        if (source.Info.ChunkSize == target.Info.ChunkSize)
        {
            TreeCopy tree = new(source.Chunks, target.Chunks, sink, _known, volume, source.Info.ChunkSize) { Reached = tally.Reach };
            root = await tree.RunAsync(TwinOf(volume, earlier), cancellationToken);
            read = tree.ReadBytes;
        }
        else
        {
            await using IBlockReader image = source.OpenImage(volume);
            GridCopy grid = new(image, session, sink, volume, source.Info.ChunkSize, target.Info.ChunkSize) { Reached = tally.Reach };
            root = await grid.RunAsync(cancellationToken);
            read = grid.ReadBytes;
        }

        await session.SettleAsync(cancellationToken);
        SessionTotals after = session.Totals;
        return (volume with { Root = root, NewBytes = after.NewChunkBytes - before.NewChunkBytes, StoredBytes = after.StoredBytes - before.StoredBytes }, read);
    }

    private async Task<List<RecoveryPoint>> ListTargetAsync(CancellationToken cancellationToken) =>
        [.. (await target.ListPointsAsync(cancellationToken)).Where(point => point.Damage is null)];

    private RecoveryPoint? FindCopy(PointOrigin origin) => _there!.Find(point => PointOrigin.Of(point, target.Info.Id) == origin);

    /// <summary>The point of the source nearest before this one that shares a volume with it and whose copy the target has.</summary>
    private async Task<RecoveryPoint?> FindEarlierAsync(RecoveryPoint point, CancellationToken cancellationToken)
    {
        HashSet<string> names = [.. point.Volumes.Select(volume => volume.Name)];
        _sources ??= await source.ListPointsAsync(cancellationToken);
        return source.Info.ChunkSize != target.Info.ChunkSize ? null : _sources.LastOrDefault(other =>
            other.Damage is null && other.Id != point.Id && other.Host == point.Host && other.Instant <= point.Instant
            && other.Volumes.Any(volume => names.Contains(volume.Name))
            && FindCopy(PointOrigin.Of(other, source.Info.Id)) is not null);
    }

    /// <summary>A volume of the earlier point and the same volume of its copy, when their maps have this one's shape.</summary>
    private Twin TwinOf(VolumeRecord volume, RecoveryPoint? earlier)
    {
        VolumeRecord? was = earlier?.Volumes.FirstOrDefault(other => other.Name == volume.Name && other.Length == volume.Length);
        VolumeRecord? copied = was is null
            ? null
            : FindCopy(PointOrigin.Of(earlier!, source.Info.Id))!.Volumes.FirstOrDefault(other => other.Name == was.Name && other.Length == was.Length);
        return copied is null ? default : new Twin(was!.Root, copied.Root);
    }

    /// <summary>Adds up the volumes.</summary>
    private sealed class Progress(IProgress<CopyProgress>? listener, long total)
    {
        private long _finished;

        internal void Reach(long byteOfVolume) => listener?.Report(new CopyProgress(_finished + byteOfVolume, total));

        internal void FinishVolume(long length)
        {
            _finished += length;
            Reach(0);
        }
    }
}
