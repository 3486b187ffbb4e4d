using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Points;
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
    /// <summary>Registers a session, as every session does before it reads anything else.</summary>
    internal required Func<SessionKey, string, CancellationToken, Task<int>> RegisterAsync { get; init; }

    /// <summary>Deletes a small object and its second copy, the copy first: a copy alone would look like an object that was lost.</summary>
    internal async Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await Store.DeleteAsync(Format.ObjectNames.CopyOf(name), cancellationToken);
        await Store.DeleteAsync(name, cancellationToken);
    }

    /// <summary>Deletes a pack and its parity, the parity first: parity alone would look like a pack that was lost.</summary>
    internal async Task DeletePackAsync(Guid pack, CancellationToken cancellationToken)
    {
        await Store.DeleteAsync(Format.ObjectNames.ParityOf(pack), cancellationToken);
        await Store.DeleteAsync(Format.ObjectNames.Pack(pack), cancellationToken);
    }
}
