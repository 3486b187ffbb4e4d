using System.Text.Json;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Points;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault.Collection;

/// <summary>The sessions that have registered, and what became of them. (§10.1, §10.2)</summary>
internal sealed class SessionRegister(IObjectStore store, VaultKeys keys, TimeProvider clock)
{
    /// <summary>Sessions without a commit key: they run, or died.</summary>
    internal async Task<IReadOnlyList<PendingSession>> ReadPendingAsync(CancellationToken cancellationToken)
    {
        List<PendingSession> pending = [];
        foreach (Guid id in await ListPendingAsync(cancellationToken))
        {
            string name = ObjectNames.Session(id);
            byte[]? bytes = await store.GetAsync(name, cancellationToken);
            SessionRecord? record = bytes is null ? null : TryRead(keys.TryOpenEnvelope(EnvelopeKind.Session, name, bytes));
            if (bytes is not null)
            {
                pending.Add(new PendingSession(id, record?.Host ?? "", record?.Started ?? DateTimeOffset.MinValue));
            }
        }

        return pending;
    }

    /// <summary>
    /// Decides the fate of every session that is listed and has none: its commit key becomes a revocation, unless it commits first. When this
    /// completes, all of them have one.
    /// </summary>
    /// <returns>Those that were revoked here.</returns>
    internal async Task<IReadOnlyList<Guid>> RevokeAsync(long generation, CancellationToken cancellationToken)
    {
        List<Guid> revoked = [];
        foreach (Guid id in await ListPendingAsync(cancellationToken))
        {
            string name = ObjectNames.Commit(id);
            byte[] body = CommitBody.Write(Verdict.Revoked, clock.GetUtcNow().ToUnixTimeMilliseconds(), Guid.Empty, new byte[32], generation);
            if (await RootCopies.TryPutAsync(store, name, keys.SealEnvelope(EnvelopeKind.Commit, name, body), cancellationToken))
            {
                revoked.Add(id);
            }
        }

        return revoked;
    }

    /// <summary>Sessions first, commit keys after them: what has no key in the second listing may still get one, what has one keeps it.</summary>
    internal async Task<IReadOnlyList<Guid>> ListPendingAsync(CancellationToken cancellationToken)
    {
        List<Guid> sessions = await ObjectList.IdsAsync(store, ObjectNames.Sessions, cancellationToken);
        HashSet<Guid> resolved = [.. await ObjectList.IdsAsync(store, ObjectNames.Commits, cancellationToken)];
        return [.. sessions.Where(id => !resolved.Contains(id)).Order()];
    }

    private static SessionRecord? TryRead(byte[]? body)
    {
        try
        {
            return body is null ? null : JsonSerializer.Deserialize(body, VaultJson.Default.SessionRecord);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>Lists objects by what their names must be.</summary>
internal static class ObjectList
{
    /// <summary>The ids under a prefix, of objects that are named as the vault names them. A root counts where its copy alone is there, too.</summary>
    internal static async Task<List<Guid>> IdsAsync(IObjectStore store, string prefix, CancellationToken cancellationToken)
    {
        List<Guid> ids = [];
        if (RootCopies.IsRoot(prefix + "x"))
        {
            ids.AddRange((await RootCopies.ListAsync(store, prefix, cancellationToken)).Select(name => IdOf(name, prefix)).OfType<Guid>());
            return ids;
        }

        await foreach (StoredObject found in store.ListAsync(prefix, cancellationToken))
        {
            if (!found.IsForeign && IdOf(found.Name, prefix) is { } id)
            {
                ids.Add(id);
            }
        }

        return ids;
    }

    private static Guid? IdOf(string name, string prefix) =>
        name.Length == prefix.Length + 32 && ObjectNames.TryParseId(name, out Guid id) ? id : null;
}
