namespace Quench.Vault.Keys;

/// <summary>
/// Session keys that have been met, one object for each session: every pack and every index object carries its session's key, and unwrapping it each time
/// would take as many secrets as there are packs. Not thread-safe.
/// </summary>
internal sealed class SessionKeys(VaultKeys keys)
{
    private readonly Dictionary<Guid, SessionKey> _known = [];

    /// <summary>A session's key, unwrapped once.</summary>
    /// <returns>Null when it does not open.</returns>
    internal SessionKey? TryUnwrap(uint epoch, Guid session, ReadOnlySpan<byte> wrapped)
    {
        if (_known.TryGetValue(session, out SessionKey? known) && IsSame(known, epoch, wrapped))
        {
            return known;
        }

        SessionKey? key = keys.TryUnwrap(epoch, session, wrapped);
        if (key is not null)
        {
            _known[session] = key;
        }

        return key;
    }

    /// <summary>The object that stands for a key which somebody else has unwrapped: the one that was met first.</summary>
    internal SessionKey Shared(SessionKey key)
    {
        if (_known.TryGetValue(key.SessionId, out SessionKey? known) && IsSame(known, key.Epoch, key.Wrapped))
        {
            return known;
        }

        _known[key.SessionId] = key;
        return key;
    }

    private static bool IsSame(SessionKey known, uint epoch, ReadOnlySpan<byte> wrapped) => known.Epoch == epoch && wrapped.SequenceEqual(known.Wrapped);
}
