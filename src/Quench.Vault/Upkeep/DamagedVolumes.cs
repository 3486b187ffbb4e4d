using Quench.Blocks;

namespace Quench.Vault.Upkeep;

/// <summary>Says of chunks that can't be read which points, volumes and bytes they hurt.</summary>
internal sealed class DamagedVolumes(ChunkReader chunks, int chunkSize)
{
    /// <summary>Walks the points' maps; neighbouring ranges are told as one.</summary>
    /// <param name="points">Which points.</param>
    /// <param name="whyBad">Why a chunk can't be read; null when it can.</param>
    /// <param name="cancellationToken">Gives up.</param>
    internal async Task<List<VaultDamage>> FindAsync(IEnumerable<RecoveryPoint> points, Func<ChunkId, string?> whyBad, CancellationToken cancellationToken)
    {
        List<VaultDamage> all = [];
        foreach (RecoveryPoint point in points)
        {
            foreach (VolumeRecord volume in point.Volumes)
            {
                List<VaultDamage> found = [];
                MapWalk walk = new(chunks, volume, chunkSize)
                {
                    Chunk = (id, offset, length) => Add(found, point, volume, id, whyBad(id), new Extent(offset, length)),
                    Unreadable = (id, why, extent) => Add(found, point, volume, id, whyBad(id) ?? why, extent),
                };
                await walk.RunAsync(cancellationToken);
                all.AddRange(found);
            }
        }

        return all;
    }

    private static void Add(List<VaultDamage> found, RecoveryPoint point, VolumeRecord volume, ChunkId id, string? why, Extent range)
    {
        if (why is null)
        {
            return;
        }

        if (found.Count > 0 && found[^1].Range is { } last && last.End == range.Offset)
        {
            found[^1] = found[^1] with { Range = Extent.FromTo(last.Offset, range.End) };
        }
        else
        {
            found.Add(new VaultDamage($"chunk {id} can't be read: {why}", point.Id, volume.Name, range));
        }
    }
}
