namespace Quench.Vault.Keys;

/// <summary>The key of one session, and what is written so that a holder of the vault's keys finds it again. (§3.5)</summary>
internal sealed class SessionKey(Guid vaultId, Guid sessionId, uint epoch, byte[] wrapped, Secret secret)
{
    internal Guid VaultId { get; } = vaultId;

    internal Guid SessionId { get; } = sessionId;

    internal uint Epoch { get; } = epoch;

    /// <summary>The key as it is stored; not to be changed.</summary>
    internal byte[] Wrapped { get; } = wrapped;

    internal ReadOnlySpan<byte> Key => secret.Span;
}
