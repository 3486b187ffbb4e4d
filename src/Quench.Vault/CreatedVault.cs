using Quench.Blocks.Buffers;

namespace Quench.Vault;

/// <summary>A vault that has just been made.</summary>
/// <param name="Vault">The vault, open; the caller disposes it.</param>
/// <param name="RecoveryCode">
/// The second way in, to be written down on paper: in ASCII, it exists nowhere else and is not shown again. The caller disposes it.
/// </param>
public sealed record CreatedVault(BackupVault Vault, SecretBytes RecoveryCode);
