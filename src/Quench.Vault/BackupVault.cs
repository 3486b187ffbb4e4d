using Quench.Blocks;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>
/// An open vault: recovery points to list, read and verify, and sessions that add more. Any number may be open on one store at once, in any
/// number of processes. All methods may be called from any thread.
/// </summary>
/// <remarks>Disposing wipes the keys and closes the store. Images and sessions must be disposed before.</remarks>
public sealed class BackupVault : IAsyncDisposable
{
    /// <summary>The vault's facts.</summary>
    public VaultInfo Info => throw new NotImplementedException();

    /// <summary>Makes a vault in an empty store. It exists from the moment the task completes.</summary>
    /// <param name="store">Where; owned by the vault once the task has succeeded.</param>
    /// <param name="settings">What is chosen once.</param>
    /// <param name="password">The first way in; borrowed.</param>
    /// <param name="clock">The time of creation comes from it.</param>
    /// <param name="cancellationToken">Leaves remains that hold nothing of the user's.</param>
    /// <exception cref="QuenchException">The store is a vault already (VAULT-011), or holds other files (VAULT-012), or can't be written.</exception>
    public static Task<CreatedVault> CreateAsync(
        IObjectStore store, VaultSettings settings, ReadOnlyMemory<byte> password, TimeProvider clock, CancellationToken cancellationToken) =>
        throw new NotImplementedException();

    /// <summary>Opens a vault. Writes nothing.</summary>
    /// <param name="store">Where; owned by the vault once the task has succeeded.</param>
    /// <param name="passwordOrRecoveryCode">Either, as UTF-8; borrowed.</param>
    /// <param name="clock">Sessions take their times from it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">
    /// Not a vault (VAULT-001, exit code 10), wrong password (VAULT-002, exit code 12), a newer version (VAULT-003), features that this program does
    /// not know (VAULT-004), damaged (VAULT-005), key slots that ask for too much memory (VAULT-006).
    /// </exception>
    public static Task<BackupVault> OpenAsync(
        IObjectStore store, ReadOnlyMemory<byte> passwordOrRecoveryCode, TimeProvider clock, CancellationToken cancellationToken) =>
        throw new NotImplementedException();

    /// <summary>The committed recovery points, oldest first. One whose manifest is damaged is listed with <see cref="RecoveryPoint.Damage"/> set.</summary>
    public Task<IReadOnlyList<RecoveryPoint>> ListPointsAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Finds a committed point.</summary>
    /// <param name="idPrefixOrLatest">The first digits of its id, at least one; or "latest".</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The point; null when there is none.</returns>
    /// <exception cref="QuenchException">More than one begins so (VAULT-021), or the one that does is damaged (VAULT-022).</exception>
    public Task<RecoveryPoint?> FindPointAsync(string idPrefixOrLatest, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Begins to add a recovery point: registers the session in the store, then reads what the vault already has.</summary>
    /// <param name="host">The machine whose volumes will be imaged.</param>
    /// <param name="cancellationToken">Gives up; an abandoned session hurts nobody.</param>
    /// <returns>The session; the caller disposes it, committed or not.</returns>
    public Task<BackupSession> BeginAsync(string host, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Opens the image of a volume of a recovery point. Its geometry is the volume's; disposing it leaves the vault open.</summary>
    /// <remarks>
    /// Any range may be read, aligned or not. Every byte that a read returns has been authenticated and its chunk's id computed again; a chunk that is missing,
    /// damaged or forged is a <see cref="QuenchException"/> (VAULT-041) that names the chunk, the volume's offset and the pack.
    /// </remarks>
    public IBlockReader OpenImage(VolumeRecord volume) => throw new NotImplementedException();

    /// <summary>Verifies a point, or the whole vault. Damage is an answer, not an exception.</summary>
    /// <param name="point">The point; null for all points and everything else in the vault.</param>
    /// <param name="level">How deep to look.</param>
    /// <param name="progress">Told now and then, from any thread; null when nobody wants to know.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<VerifyReport> VerifyAsync(
        RecoveryPoint? point, VerifyLevel level, IProgress<VerifyProgress>? progress, CancellationToken cancellationToken) =>
        throw new NotImplementedException();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
