using Quench.Vault.Upkeep;

namespace Quench.Vault;

public sealed partial class BackupVault
{
    /// <summary>What went wrong with the index cache, one sentence each. Nothing is lost by it but time, and no operation fails.</summary>
    public IReadOnlyList<string> CacheWarnings => _index.Warnings;

    /// <summary>
    /// Says where the index of a large vault is kept on this machine from one opening to the next. Without it, it lasts as long as the vault is open.
    /// The folder is made when it is needed; all in it can be deleted at any time; any number of processes may use it at once; what is in it
    /// is encrypted, and believed only after it has been authenticated.
    /// </summary>
    /// <param name="folder">A folder of this vault's own; null for none.</param>
    /// <exception cref="InvalidOperationException">The index has been read already.</exception>
    public void UseIndexCache(string? folder) => _index.UseFolder(folder);

    /// <summary>
    /// Makes the index whole again from what the packs say of themselves: names what no sound index object names, then deletes damaged index objects
    /// if all that they may have named is named now; and deletes the local cache. Sessions and readers may be at work meanwhile.
    /// </summary>
    /// <param name="progress">Told of each pack; null when nobody wants to know.</param>
    /// <param name="cancellationToken">Gives up; what has been written until then is right.</param>
    /// <exception cref="Quench.Blocks.QuenchException">
    /// What a garbage collection condemned can't be read (VAULT-034); the vault has features that a writer must know (VAULT-004); the store failed.
    /// </exception>
    public Task<IndexRebuildReport> RebuildIndexAsync(IProgress<VerifyProgress>? progress, CancellationToken cancellationToken)
    {
        _opening.CheckWritable(_store.Location);
        return new IndexRebuild(_store, _keys, _index, progress).RunAsync(cancellationToken);
    }
}
