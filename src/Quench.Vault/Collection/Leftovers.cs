using Quench.Vault.Format;
using Quench.Vault.Points;
using Quench.Vault.Roots;

namespace Quench.Vault.Collection;

/// <summary>
/// Finds the small objects that nothing needs any more: manifests of forgotten points and of revoked sessions, the records of sessions that are
/// over, and the commit keys and tombstones of points that nobody can name any more. (§11.3)
/// </summary>
/// <remarks>
/// A revocation stays for ever: it is what keeps a session from committing that sleeps and wakes. A tombstone stays as long as a point names its point as
/// previous, or one might yet do so: a session that had read the points before the tombstone was put.
/// </remarks>
internal sealed class Leftovers(CollectorTools tools)
{
    /// <summary>Finds them.</summary>
    /// <param name="forgotten">Points that were forgotten before <paramref name="resolved"/> became true, or before this call.</param>
    /// <param name="resolved">Whether every session that had registered since has a commit key by now.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Their names, in the order in which they may be deleted.</returns>
    internal async Task<IReadOnlyList<string>> FindAsync(IReadOnlySet<Guid> forgotten, bool resolved, CancellationToken cancellationToken)
    {
        HashSet<Guid> sessions = [.. await ObjectList.IdsAsync(tools.Store, ObjectNames.Sessions, cancellationToken)];
        List<Commit> commits = await ReadCommitsAsync(cancellationToken);
        resolved |= sessions.IsSubsetOf(commits.Select(commit => commit.Session));
        HashSet<Guid> manifests = [.. await ObjectList.IdsAsync(tools.Store, ObjectNames.Points, cancellationToken)];
        HashSet<Guid> tombstones = [.. await ObjectList.IdsAsync(tools.Store, ObjectNames.Forgets, cancellationToken)];
        HashSet<Guid> named = await ReadNamedAsync(cancellationToken);
        List<string> names = [];
        foreach (Commit commit in commits.Where(commit => commit.Verdict == Verdict.Revoked || forgotten.Contains(commit.Point)))
        {
            AddIf(sessions.Contains(commit.Session), ObjectNames.Session(commit.Session));
            AddIf(
                commit.Verdict == Verdict.Committed && resolved && !named.Contains(commit.Point) && tombstones.Contains(commit.Point),
                ObjectNames.Commit(commit.Session));
        }

        // Tombstones last: until then the point is forgotten, whatever else of it is still there.
        foreach (Guid point in forgotten)
        {
            AddIf(manifests.Contains(point), ObjectNames.Point(point));
            AddIf(resolved && !named.Contains(point) && tombstones.Contains(point), ObjectNames.Forget(point));
        }

        await AddAbandonedAsync(manifests.Except(commits.Select(commit => commit.Point)).Except(forgotten), commits, names, cancellationToken);
        return names;

        void AddIf(bool wanted, string name)
        {
            if (wanted)
            {
                names.Add(name);
            }
        }
    }

    private async Task<List<Commit>> ReadCommitsAsync(CancellationToken cancellationToken)
    {
        List<Commit> commits = [];
        foreach (Guid session in await ObjectList.IdsAsync(tools.Store, ObjectNames.Commits, cancellationToken))
        {
            string name = ObjectNames.Commit(session);
            RootReading<Commit> read = await RootCopies.TryReadEitherAsync(
                tools.Store, name, bytes => TryRead(session, tools.Keys.TryOpenEnvelope(EnvelopeKind.Commit, name, bytes)), cancellationToken);
            if (read.Value is { } commit)
            {
                commits.Add(commit);
            }
        }

        return commits;
    }

    private static Commit? TryRead(Guid session, byte[]? body) =>
        body is not null && CommitBody.TryRead(body, out CommitBody commit) ? new Commit(session, commit.Verdict, commit.PointId) : null;

    private async Task<HashSet<Guid>> ReadNamedAsync(CancellationToken cancellationToken)
    {
        PointListing listing = await tools.Catalog.ReadAsync(cancellationToken);
        return [.. listing.Points.SelectMany(point => point.Previous)];
    }

    /// <summary>Adds manifests whose session was revoked before it could commit them.</summary>
    private async Task AddAbandonedAsync(IEnumerable<Guid> uncommitted, List<Commit> commits, List<string> names, CancellationToken cancellationToken)
    {
        HashSet<Guid> revoked = [.. commits.Where(commit => commit.Verdict == Verdict.Revoked).Select(commit => commit.Session)];
        foreach (string name in uncommitted.Select(ObjectNames.Point))
        {
            RootReading<RecoveryPoint> read = await RootCopies.TryReadEitherAsync(
                tools.Store, name, bytes => tools.Keys.TryOpenEnvelope(EnvelopeKind.Point, name, bytes) is { } body ? PointCodec.TryRead(body) : null, cancellationToken);
            if (read.Value is { } point && revoked.Contains(point.SessionId))
            {
                names.Add(name);
            }
        }
    }

    private sealed record Commit(Guid Session, Verdict Verdict, Guid Point);
}
