using Quench.Blocks;
using Quench.Vault.Roots;
using Quench.Vault.Stores;
using Quench.Vault.Upkeep;

namespace Quench.Vault;

/// <summary>Healing what has rotted. (docs/vault-format.md §6.6)</summary>
public sealed partial class BackupVault
{
    /// <summary>
    /// Looks at every pack and heals what is damaged: from its parity, from other packs, from good copies. Whatever could be restored before can be
    /// restored afterwards, also when it ends in the middle; run it again then. What it replaces is set aside in the store.
    /// </summary>
    /// <param name="options">Where else to look, and whether to change anything.</param>
    /// <param name="progress">Told now and then; null when nobody wants to know.</param>
    /// <param name="cancellationToken">Gives up between packs.</param>
    /// <exception cref="QuenchException">The store can't replace objects (VAULT-081), or a put failed.</exception>
    public async Task<RepairReport> RepairAsync(RepairOptions options, IProgress<VerifyProgress>? progress, CancellationToken cancellationToken)
    {
        if (options.DryRun)
        {
            return await RehearseAsync(options, progress, cancellationToken);
        }

        _opening.CheckWritable(_store.Location);
        IHealingStore store = _store as IHealingStore ?? throw VaultErrors.CannotHeal(_store.Location);

        return await RepairAsync(store, options, progress, cancellationToken);
    }

    /// <summary>What is small and everything hangs on comes first, then the packs.</summary>
    private async Task<RepairReport> RepairAsync(
        IHealingStore store, RepairOptions options, IProgress<VerifyProgress>? progress, CancellationToken cancellationToken)
    {
        RootRepairReport roots = await HealRootsAsync(cancellationToken);
        RepairReport report = await NewRepair(store, progress).RunAsync(options.Copies, cancellationToken);
        return report with
        {
            RootsRestored = roots.Restored,
            CopiesMade = roots.Copied.Count,
            Unhealed =
            [
                .. roots.Lost.Select(root => new VaultDamage($"{root} is damaged, and so is its copy", null)),
                .. roots.Differing.Select(root => new VaultDamage($"{root} and its copy are both sound and not the same", null)),
                .. report.Unhealed,
            ],
        };
    }

    /// <summary>The same repair, on a vault over a store that keeps nothing.</summary>
    private async Task<RepairReport> RehearseAsync(RepairOptions options, IProgress<VerifyProgress>? progress, CancellationToken cancellationToken)
    {
        RehearsalStore store = new(_store);
        BackupVault rehearsal = new(store, _opening, _clock);
        try
        {
            return await rehearsal.RepairAsync(store, options, progress, cancellationToken);
        }
        finally
        {
            rehearsal._openers.Dispose(); // not the keys: they are this vault's
            rehearsal._index.Dispose();
        }
    }

    private VaultRepair NewRepair(IHealingStore store, IProgress<VerifyProgress>? progress) =>
        new(store, _keys, _index, _catalog, _chunks, _openers, Info.ChunkSize, _opening.Parity, progress);
}
