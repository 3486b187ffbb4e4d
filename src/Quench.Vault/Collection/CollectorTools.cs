using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Points;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault.Collection;

/// <summary>What a collector works with: the open vault's parts.</summary>
internal sealed record CollectorTools(
    IObjectStore Store,
    VaultKeys Keys,
    TimeProvider Clock,
    VaultIndex Index,
    PointCatalog Catalog,
    ChunkReader Chunks,
    ChunkOpenerPool Openers,
    int ChunkSize,
    int PackTarget)
{
    /// <summary>What each new pack gets. (§6.5)</summary>
    internal required ParitySettings Parity { get; init; }

    /// <summary>Registers a session, as every session does before it reads anything else.</summary>
    internal required Func<SessionKey, string, CancellationToken, Task<int>> RegisterAsync { get; init; }

    /// <summary>Deletes a small object, a root together with its second copy. (§2.1)</summary>
    internal Task DeleteAsync(string name, CancellationToken cancellationToken) =>
        RootCopies.IsRoot(name) ? RootCopies.DeleteAsync(Store, name, cancellationToken) : Store.DeleteAsync(name, cancellationToken);

    /// <summary>Deletes a pack and its parity, the parity first: parity alone would look like a pack that was lost.</summary>
    internal async Task DeletePackAsync(Guid pack, CancellationToken cancellationToken)
    {
        await Store.DeleteAsync(Format.ObjectNames.Parity(pack), cancellationToken);
        await Store.DeleteAsync(Format.ObjectNames.Pack(pack), cancellationToken);
    }
}
