namespace Quench.Vault;

/// <summary>What is chosen once, when a vault is made.</summary>
public sealed record VaultSettings
{
    /// <summary>The smallest chunk size.</summary>
    public const int MinChunkSize = 16 * 1024;

    /// <summary>The largest chunk size.</summary>
    public const int MaxChunkSize = 4 * 1024 * 1024;

    /// <summary>Bytes of a chunk: a power of two from 16 KiB to 4 MiB.</summary>
    public int ChunkSize { get; init; } = 64 * 1024;

    /// <summary>What a guess of the password costs.</summary>
    public KdfCost Kdf { get; init; } = KdfCost.Default;

    /// <summary>The parity that every pack gets, so that what rots can be healed: none unless it is asked for.</summary>
    public ParitySettings Parity { get; init; } = ParitySettings.None;
}

/// <summary>What deriving a key from a password costs: Argon2id's three parameters. (RFC 9106)</summary>
/// <param name="MemoryKibibytes">Memory in KiB.</param>
/// <param name="Passes">Passes over that memory.</param>
/// <param name="Lanes">Parallel lanes.</param>
public readonly record struct KdfCost(int MemoryKibibytes, int Passes, int Lanes)
{
    /// <summary>256 MiB, 3 passes, 4 lanes: two thirds of a second of processor time, shared by up to four cores. (the lanes as RFC 9106, section 4, recommends them)</summary>
    public static KdfCost Default => new(256 * 1024, 3, 4);

    /// <summary>64 MiB, 3 passes: the least that a new vault may ask for. (RFC 9106, second recommended option, its memory)</summary>
    public static KdfCost Floor => new(64 * 1024, 3, 1);
}
