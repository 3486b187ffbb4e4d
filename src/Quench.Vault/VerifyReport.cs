using Quench.Blocks;

namespace Quench.Vault;

/// <summary>How deep a verification looks; each level includes those before it.</summary>
public enum VerifyLevel
{
    /// <summary>Every object that is needed is there, with its length.</summary>
    Listed,

    /// <summary>Every structure opens and agrees with the others: slots, sessions, manifests, indexes, pack directories, map pages.</summary>
    Structure,

    /// <summary>Every chunk is read, opened, and its id computed again.</summary>
    Data,

    /// <summary>Besides, each volume is read back as a restore does it, held against its proof, and its file system looked at.</summary>
    Restored,
}

/// <summary>What a verification found.</summary>
/// <param name="Level">How deep it looked.</param>
/// <param name="Points">Recovery points looked at.</param>
/// <param name="Packs">Packs looked at.</param>
/// <param name="Chunks">Chunks that are reachable from the points, each counted once.</param>
/// <param name="ReadBytes">Plaintext bytes that were hashed again.</param>
/// <param name="Damage">What is wrong, most general first; empty when all is well.</param>
public sealed record VerifyReport(
    VerifyLevel Level, int Points, int Packs, long Chunks, long ReadBytes, IReadOnlyList<VaultDamage> Damage)
{
    /// <summary>What lies in the store and is not the vault's: reported, never touched, and no damage.</summary>
    public IReadOnlyList<string> Foreign { get; init; } = [];

    /// <summary>Roots that are sound and have no second copy: no damage, but less than there could be. A repair makes the copies.</summary>
    public IReadOnlyList<string> WithoutCopy { get; init; } = [];

    /// <summary>The points looked at.</summary>
    public IReadOnlyList<Guid> PointIds { get; init; } = [];

    /// <summary>The part of the packs that was looked at; null for all.</summary>
    public VerifyPart? Part { get; init; }

    /// <summary>The volumes that can't be read back whole, each with its missing ranges, merged and in order.</summary>
    public IReadOnlyList<HurtVolume> Hurt =>
    [
        .. Damage.Where(damage => damage is { Point: not null, Volume: not null, Range: not null })
            .GroupBy(damage => (damage.Point!.Value, damage.Volume!))
            .Select(hurt => new HurtVolume(hurt.Key.Item1, hurt.Key.Item2, [.. new ExtentSet(hurt.Select(damage => damage.Range!.Value))])),
    ];

    /// <summary>Whether nothing is wrong.</summary>
    public bool IsSound => Damage.Count == 0;
}

/// <summary>One thing that is wrong in a vault, and whom it hurts.</summary>
/// <param name="What">What is wrong, naming the object or the chunk: one sentence.</param>
/// <param name="Point">The point that is hurt; null when no point is, or all are.</param>
/// <param name="Volume">The volume that is hurt, by its name in the point.</param>
/// <param name="Range">The bytes of the volume that can't be read back.</param>
public sealed record VaultDamage(string What, Guid? Point = null, string? Volume = null, Extent? Range = null);

/// <summary>A volume that can't be read back whole.</summary>
/// <param name="Point">Its point.</param>
/// <param name="Volume">Its name there.</param>
/// <param name="Ranges">Its bytes that are missing: merged, in order.</param>
public sealed record HurtVolume(Guid Point, string Volume, IReadOnlyList<Extent> Ranges);

/// <summary>How far a verification is.</summary>
/// <param name="Phase">"list", "structure", "data".</param>
/// <param name="Done">Things of this phase that are done: objects, pages or chunks.</param>
/// <param name="Total">How many there are, as far as is known now.</param>
/// <param name="DoneBytes">Plaintext bytes hashed so far.</param>
public readonly record struct VerifyProgress(string Phase, long Done, long Total, long DoneBytes);
