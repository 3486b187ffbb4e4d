using Quench.Blocks;

namespace Quench.Vault;

/// <summary>A place where bytes of a damaged volume may still be right: another vault's image of it, or the live volume.</summary>
/// <param name="Name">As a person would say it.</param>
/// <param name="Volume">Read at the offsets of what is missing; only what has the missing chunk's id is believed. Stays the caller's.</param>
public sealed record GoodCopy(string Name, IBlockReader Volume)
{
    /// <summary>Whether it is worth asking about a volume; all when not given.</summary>
    public Predicate<VolumeRecord> Fits { get; init; } = _ => true;
}

/// <summary>What a repair may do.</summary>
public sealed record RepairOptions
{
    /// <summary>Only say what would be done. Nothing in the store is changed.</summary>
    public bool DryRun { get; init; }

    /// <summary>Where to look for what parity can't heal, the likeliest first.</summary>
    public IReadOnlyList<GoodCopy> Copies { get; init; } = [];
}

/// <summary>What a repair has done, or would do.</summary>
/// <param name="Packs">Packs looked at.</param>
/// <param name="Healed">Packs that were damaged and are better now.</param>
/// <param name="ParityMade">Packs whose parity was missing or damaged and was made again.</param>
/// <param name="Unhealed">What is still wrong, and whom it hurts.</param>
public sealed record RepairReport(int Packs, IReadOnlyList<HealedPack> Healed, int ParityMade, IReadOnlyList<VaultDamage> Unhealed)
{
    /// <summary>Small objects that were damaged or lost and have been put back from their copies. (docs/vault-format.md §2.1)</summary>
    public IReadOnlyList<string> RootsRestored { get; init; } = [];

    /// <summary>Small objects that have a sound second copy now and had none.</summary>
    public int CopiesMade { get; init; }

    /// <summary>Whether anything in the store was changed, or would be.</summary>
    public bool ChangesAnything => Healed.Count > 0 || ParityMade > 0 || RootsRestored.Count > 0 || CopiesMade > 0;

    /// <summary>Whether everything that was looked at is sound now.</summary>
    public bool IsSound => Unhealed.Count == 0;
}

/// <summary>A pack that was damaged and is better now.</summary>
/// <param name="Pack">Its object's name.</param>
/// <param name="ByParity">Whether parity gave all of it back, to the byte.</param>
/// <param name="Chunks">Chunks that can be read again.</param>
/// <param name="StillMissing">Chunks of it that still can't.</param>
/// <param name="From">Where their bytes came from: "parity", or the names of good copies.</param>
public sealed record HealedPack(string Pack, bool ByParity, int Chunks, int StillMissing, IReadOnlyList<string> From);
