using System.Text.Json;
using Quench.Vault.Format;
using Quench.Vault.Points;

namespace Quench.Vault.Collection;

/// <summary>The latest time that a vault has written down: a clock that shows less has gone back, or another was ahead.</summary>
internal sealed class VaultClock(CollectorTools tools)
{
    /// <summary>Finds it: among commit keys, revocations included, sessions, tombstones and manifests.</summary>
    /// <param name="points">The points.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The time, and what was written then; null in a vault without sessions.</returns>
    internal async Task<(DateTimeOffset When, string What)?> NewestAsync(IReadOnlyList<RecoveryPoint> points, CancellationToken cancellationToken)
    {
        (DateTimeOffset When, string What)? newest = null;
        foreach (RecoveryPoint point in points.Where(point => point.Damage is null))
        {
            Take(point.Written, ObjectNames.Point(point.Id));
        }

        foreach (string prefix in (string[])[ObjectNames.Commits, ObjectNames.Sessions, ObjectNames.Forgets])
        {
            foreach (Guid id in await ObjectList.IdsAsync(tools.Store, prefix, cancellationToken))
            {
                string name = prefix + id.ToString("N");
                if (await tools.Store.GetAsync(name, cancellationToken) is { } bytes && TimeIn(prefix, name, bytes) is { } when)
                {
                    Take(when, name);
                }
            }
        }

        return newest;

        void Take(DateTimeOffset when, string what) => newest = newest is { } known && known.When >= when ? known : (when, what);
    }

    private DateTimeOffset? TimeIn(string prefix, string name, byte[] bytes)
    {
        try
        {
            return prefix switch
            {
                ObjectNames.Commits => InCommit(tools.Keys.TryOpenEnvelope(EnvelopeKind.Commit, name, bytes)),
                ObjectNames.Sessions when tools.Keys.TryOpenEnvelope(EnvelopeKind.Session, name, bytes) is { } body =>
                    JsonSerializer.Deserialize(body, VaultJson.Default.SessionRecord)?.Started,
                ObjectNames.Forgets when tools.Keys.TryOpenEnvelope(EnvelopeKind.Forget, name, bytes) is { } body =>
                    JsonSerializer.Deserialize(body, VaultJson.Default.ForgetRecord)?.Forgotten,
                _ => null,
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static DateTimeOffset? InCommit(byte[]? body) =>
        body is not null && CommitBody.TryRead(body, out CommitBody commit)
        && commit.When >= 0 && commit.When <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? DateTimeOffset.FromUnixTimeMilliseconds(commit.When)
            : null;
}
