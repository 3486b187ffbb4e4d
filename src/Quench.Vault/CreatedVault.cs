namespace Quench.Vault;

/// <summary>A vault that has just been made.</summary>
/// <param name="Vault">The vault, open; the caller disposes it.</param>
/// <param name="RecoveryCode">
/// The second way in, to be written down on paper: it exists nowhere else and is not shown again.
/// </param>
public sealed record CreatedVault(BackupVault Vault, string RecoveryCode);
