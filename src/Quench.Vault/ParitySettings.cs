using System.Globalization;
using System.Numerics;

namespace Quench.Vault;

/// <summary>How much of a pack may be lost and made good again: of each group of shards, any so many. (docs/vault-format.md §6.5)</summary>
/// <param name="DataShards">Shards of a pack in a stripe: 1 to 200; 0 with the others for no parity.</param>
/// <param name="ParityShards">Parity shards added to each stripe, so many of which may be missing: 1 to 32.</param>
/// <param name="ShardSize">Bytes of a shard: a power of two, 4 KiB to 1 MiB.</param>
public readonly record struct ParitySettings(int DataShards, int ParityShards, int ShardSize)
{
    private const int MaxData = 200;
    private const int MaxParity = 32;
    private const int MinShard = 4096;
    private const int MaxShard = 1 << 20;

    /// <summary>No parity.</summary>
    public static ParitySettings None => default;

    /// <summary>20+2 with shards of 4 KiB: a tenth more on the medium, and any burst of a tenth of a pack heals.</summary>
    public static ParitySettings Default => new(20, 2, MinShard);

    /// <summary>Whether there is no parity.</summary>
    public bool IsNone => this == None;

    /// <summary>Whether the three fit the format.</summary>
    public bool IsValid => IsNone
        || (DataShards is >= 1 and <= MaxData && ParityShards is >= 1 and <= MaxParity
            && ShardSize is >= MinShard and <= MaxShard && BitOperations.IsPow2(ShardSize));

    /// <summary>Reads "20+2" or "none".</summary>
    public static bool TryParse(string text, out ParitySettings settings)
    {
        settings = None;
        if (text == "none")
        {
            return true;
        }

        int plus = text.IndexOf('+', StringComparison.Ordinal);
        if (plus < 0
            || !int.TryParse(text.AsSpan(0, plus), NumberStyles.None, CultureInfo.InvariantCulture, out int data)
            || !int.TryParse(text.AsSpan(plus + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int parity))
        {
            return false;
        }

        settings = new ParitySettings(data, parity, MinShard);
        return settings.IsValid;
    }

    /// <summary>As <see cref="TryParse"/> reads it.</summary>
    public override string ToString() =>
        IsNone ? "none" : string.Create(CultureInfo.InvariantCulture, $"{DataShards}+{ParityShards}");
}
