using Quench.Blocks;
using Quench.Vault.Format;

namespace Quench.Vault;

/// <content>What differs between two images.</content>
public sealed partial class BackupVault
{
    /// <summary>Where a newer image may differ from an older one. Reads the pages of their maps that differ, and no data.</summary>
    /// <param name="older">The volume in one point of this vault.</param>
    /// <param name="newer">The volume in another.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>A bit for each chunk of the newer image; all set when the volume's length has changed. No bit is missing; a chunk that differs may have equal bytes.</returns>
    /// <exception cref="QuenchException">VAULT-041: a page of a map can't be read.</exception>
    public async Task<UsedBlocks> CompareAsync(VolumeRecord older, VolumeRecord newer, CancellationToken cancellationToken)
    {
        if (older.Length != newer.Length)
        {
            return UsedBlocks.All(newer.Length);
        }

        UsedBlocks changed = new(newer.Length, Info.ChunkSize);
        ImageComparison comparison = new(new MapPages(_chunks), newer, changed);
        await comparison.CompareAsync(older.Root, newer.Root, new MapTree(changed.Bits.Length).TopLevel, 0, cancellationToken);
        return changed;
    }
}
