namespace Quench.Vault.Parity;

/// <summary>
/// Where a pack's shards and those of its parity lie. Shard <c>n</c> of the pack belongs to stripe <c>n mod T</c>, at position <c>n / T</c>: neighbours are in different
/// stripes, so a burst takes little of each. Positions that the pack does not reach hold zeros. (docs/vault-format.md §6.5)
/// </summary>
/// <param name="PackLength">Bytes of the pack; more than 0.</param>
/// <param name="Settings">Not none.</param>
internal readonly record struct ParityLayout(int PackLength, ParitySettings Settings)
{
    /// <summary>Shards of the pack, the last one perhaps shorter.</summary>
    internal int DataShards => ((PackLength - 1) / Settings.ShardSize) + 1;

    /// <summary>Stripes.</summary>
    internal int Stripes => ((DataShards - 1) / Settings.DataShards) + 1;

    /// <summary>Parity shards: stripe by stripe the first of each, then the second of each.</summary>
    internal int ParityShards => Stripes * Settings.ParityShards;

    /// <summary>Where a shard lies in the pack.</summary>
    internal Range DataRange(int shard) =>
        (shard * Settings.ShardSize)..Math.Min(PackLength, checked((shard + 1) * Settings.ShardSize));
}
