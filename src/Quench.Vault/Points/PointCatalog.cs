using System.Security.Cryptography;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault.Points;

/// <summary>What the commit keys, tombstones and manifests of a vault say, at one moment.</summary>
/// <param name="Points">Committed and not forgotten, oldest first, damaged ones included.</param>
/// <param name="Forgotten">Points with a tombstone.</param>
/// <param name="Problems">What can't be read, one sentence each.</param>
internal sealed record PointListing(IReadOnlyList<RecoveryPoint> Points, IReadOnlySet<Guid> Forgotten, IReadOnlyList<string> Problems)
{
    /// <summary>The points that no other names as previous: where the history ends now.</summary>
    internal IReadOnlyList<Guid> Heads()
    {
        HashSet<Guid> named = [.. Points.SelectMany(point => point.Previous)];
        return [.. Points.Where(point => point.Damage is null && !named.Contains(point.Id)).Select(point => point.Id)];
    }

    /// <summary>Points that others name as previous and that are neither there nor forgotten: somebody has removed them. (§9.1)</summary>
    internal IEnumerable<Guid> Missing() =>
        Points.SelectMany(point => point.Previous).Distinct().Where(id => !Forgotten.Contains(id) && Points.All(point => point.Id != id));
}

/// <summary>Reads which recovery points there are. (§10.4)</summary>
internal sealed class PointCatalog(IObjectStore store, VaultKeys keys)
{
    /// <summary>Reads commit keys, then tombstones, then manifests.</summary>
    internal async Task<PointListing> ReadAsync(CancellationToken cancellationToken)
    {
        IReadOnlyCollection<string> commits = await RootCopies.ListAsync(store, ObjectNames.Commits, cancellationToken);
        List<string> problems = [];
        HashSet<Guid> forgotten = await ReadForgetsAsync(problems, cancellationToken);
        List<RecoveryPoint> points = [];
        foreach (string name in commits)
        {
            RecoveryPoint? point = await ReadCommittedAsync(name, cancellationToken);
            if (point is not null && !forgotten.Contains(point.Id))
            {
                points.Add(point);
            }
        }

        points.Sort((a, b) => (a.Instant, a.Written, a.Id).CompareTo((b.Instant, b.Written, b.Id)));
        return new PointListing(points, forgotten, problems);
    }

    private async Task<List<string>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        List<string> names = [];
        await foreach (StoredObject found in store.ListAsync(prefix, cancellationToken))
        {
            if (!found.IsForeign && ObjectNames.TryParseId(found.Name, out _))
            {
                names.Add(found.Name);
            }
        }

        return names;
    }

    private async Task<HashSet<Guid>> ReadForgetsAsync(List<string> problems, CancellationToken cancellationToken)
    {
        HashSet<Guid> forgotten = [];
        foreach (string name in await ListAsync(ObjectNames.Forgets, cancellationToken))
        {
            byte[]? bytes = await store.GetAsync(name, cancellationToken);
            if (bytes is not null && keys.TryOpenEnvelope(EnvelopeKind.Forget, name, bytes) is not null && ObjectNames.TryParseId(name, out Guid point))
            {
                forgotten.Add(point); // the name is authenticated with the rest
            }
            else
            {
                problems.Add($"the tombstone {name} is damaged, so its point is still counted as there");
            }
        }

        return forgotten;
    }

    /// <summary>Reads a commit key and the manifest that it commits.</summary>
    /// <returns>Null when the session was revoked, or is gone by now; a point with <see cref="RecoveryPoint.Damage"/> when something is unreadable.</returns>
    private async Task<RecoveryPoint?> ReadCommittedAsync(string name, CancellationToken cancellationToken)
    {
        RootReading<CommitFacts> read = ObjectNames.TryParseId(name, out Guid session)
            ? await RootCopies.TryReadEitherAsync(store, name, bytes => TryReadCommit(name, bytes), cancellationToken)
            : new RootReading<CommitFacts>(null, IsMissing: true);
        return read.Value switch
        {
            null when read.IsMissing => null,
            null => Damaged(Guid.Empty, session, DateTimeOffset.MinValue, $"its commit key {name} is damaged"),
            { Verdict: Verdict.Revoked } => null,
            { } commit => await ReadManifestAsync(session, commit, read.IsLone, cancellationToken),
        };
    }

    private CommitFacts? TryReadCommit(string name, byte[] bytes) =>
        keys.TryOpenEnvelope(EnvelopeKind.Commit, name, bytes) is { } body && CommitBody.TryRead(body, out CommitBody commit)
            ? new CommitFacts(commit.Verdict, commit.PointId, commit.PointHash.ToArray(), TimeOf(commit))
            : null;

    private async Task<RecoveryPoint?> ReadManifestAsync(Guid session, CommitFacts commit, bool isLone, CancellationToken cancellationToken)
    {
        (_, Guid id, _, DateTimeOffset committed) = commit;
        string name = ObjectNames.Point(id);
        RootReading<RecoveryPoint> read = await RootCopies.TryReadEitherAsync(store, name, bytes => TryReadManifest(name, bytes, session, commit), cancellationToken);
        if (read.Value is null && read.IsMissing && (isLone || await IsForgottenAsync(id, cancellationToken)))
        {
            return null; // forgotten and collected: since the tombstones were read, or while whoever put that copy slept (§2.1)
        }

        return read.Value ?? Damaged(id, session, committed, $"its manifest {name} is {(read.IsMissing ? "missing" : "damaged")}");
    }

    private RecoveryPoint? TryReadManifest(string name, byte[] bytes, Guid session, CommitFacts commit)
    {
        byte[]? body = SHA256.HashData(bytes).AsSpan().SequenceEqual(commit.PointHash) ? keys.TryOpenEnvelope(EnvelopeKind.Point, name, bytes) : null;
        return body is not null && PointCodec.TryRead(body) is { } point && point.Id == commit.PointId && point.SessionId == session ? point : null;
    }

    private async Task<bool> IsForgottenAsync(Guid point, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Forget(point);
        return await store.GetAsync(name, cancellationToken) is { } bytes && keys.TryOpenEnvelope(EnvelopeKind.Forget, name, bytes) is not null;
    }

    /// <summary>When a point was committed: the best that is known of one whose manifest is damaged. Times out of range count as unknown.</summary>
    private static DateTimeOffset TimeOf(CommitBody commit) =>
        commit.When >= 0 && commit.When <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? DateTimeOffset.FromUnixTimeMilliseconds(commit.When)
            : DateTimeOffset.MinValue;

    private static RecoveryPoint Damaged(Guid id, Guid session, DateTimeOffset committed, string what) => new()
    {
        Id = id,
        SessionId = session,
        Host = "",
        Instant = committed,
        Written = committed,
        Volumes = [],
        Damage = what,
    };

    private sealed record CommitFacts(Verdict Verdict, Guid PointId, byte[] PointHash, DateTimeOffset When);
}
