namespace Quench.Vault;

/// <summary>How hard a session compresses what it stores. Any reader reads all of them, and one vault may hold all of them.</summary>
/// <remarks>What each costs and saves: docs/performance.md, "Full image".</remarks>
public enum Compression
{
    /// <summary>Not at all: for data that are compressed already, and for stores that are faster than a processor compresses.</summary>
    None,

    /// <summary>zstd level -5.</summary>
    Fast,

    /// <summary>zstd level -1.</summary>
    Standard,

    /// <summary>zstd level 3.</summary>
    Small,

    /// <summary>zstd level 15: for links that are slow or expensive.</summary>
    Smallest,
}
