using Quench.Vault.Keys;

namespace Quench.Vault.Index;

/// <summary>A pack as the index knows it.</summary>
internal sealed class IndexedPack(Guid id, long length, SessionKey session)
{
    internal Guid Id { get; } = id;

    /// <summary>Bytes it should have.</summary>
    internal long Length { get; } = length;

    internal SessionKey Session { get; } = session;

    /// <summary>Whether it is in the store, with that length.</summary>
    internal bool IsPresent { get; set; } = true;

    /// <summary>Whether a garbage collection has condemned it: it can be read, and not be relied on.</summary>
    internal bool IsCondemned { get; set; }

    /// <summary>Whether a sound index object names it; otherwise it is known from its own directory only.</summary>
    internal bool IsNamed { get; set; }

    /// <summary>Whether its chunks are there to stay.</summary>
    internal bool CanBeReliedOn => IsPresent && !IsCondemned;
}
