using Quench.Vault.Points;

namespace Quench.Vault.Collection;

/// <summary>Tells what a garbage collection has taken away from what was lost: nobody misses a pack that a sweep names.</summary>
internal static class CollectedSince
{
    /// <summary>Leaves out of a list of damage what concerns points that are forgotten by now.</summary>
    internal static async Task<IReadOnlyList<VaultDamage>> WithoutForgottenAsync(
        IReadOnlyList<VaultDamage> damage, PointCatalog catalog, CancellationToken cancellationToken)
    {
        if (damage.Count == 0)
        {
            return damage;
        }

        IReadOnlySet<Guid> forgotten = (await catalog.ReadAsync(cancellationToken)).Forgotten;
        return [.. damage.Where(one => one.Point is not { } point || !forgotten.Contains(point))];
    }
}
