namespace Quench.Vault;

/// <summary>The facts of an open vault that never change while it is open.</summary>
/// <param name="Id">The vault's id: random, made with it.</param>
/// <param name="ChunkSize">Bytes of a chunk.</param>
/// <param name="Version">The format's version, "1.0".</param>
/// <param name="Created">When it was made.</param>
public sealed record VaultInfo(Guid Id, int ChunkSize, string Version, DateTimeOffset Created)
{
    /// <summary>The parity that packs get.</summary>
    public ParitySettings Parity { get; init; }
}
