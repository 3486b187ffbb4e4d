using Quench.Blocks;
using Quench.Vault.Upkeep;

namespace Quench.Vault;

/// <summary>Verifying, and remembering what was verified when. (docs/vault-format.md §9.3)</summary>
public sealed partial class BackupVault
{
    /// <summary>Verifies a point, the whole vault, or a part of it. Damage is an answer, not an exception. Changes nothing.</summary>
    /// <param name="request">What to verify.</param>
    /// <param name="progress">Told now and then, from any thread; null when nobody wants to know.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<VerifyReport> VerifyAsync(VerifyRequest request, IProgress<VerifyProgress>? progress, CancellationToken cancellationToken) =>
        new Verifier(_store, _keys, Judge, _index, _catalog, _chunks, _openers, Info.ChunkSize, progress) { Settings = _opening.Parity, Part = request.Part }
            .RunAsync(request.Point, request.Level, cancellationToken);

    /// <summary>What is remembered of verifications.</summary>
    public async Task<VaultChecks> ReadChecksAsync(CancellationToken cancellationToken) =>
        (await new CheckLog(_store, _keys).ReadAsync(cancellationToken)).Checks;

    /// <summary>Remembers a verification in the vault, where every machine sees it. Durable when the task completes.</summary>
    /// <param name="report">What it found.</param>
    /// <param name="cancellationToken">Gives up; then it is remembered or not.</param>
    /// <exception cref="QuenchException">The vault has features that a writer must know and this program does not (VAULT-004), or the store failed.</exception>
    public async Task RecordCheckAsync(VerifyReport report, CancellationToken cancellationToken)
    {
        _opening.CheckWritable(_store.Location);
        CheckLog log = new(_store, _keys);
        (VaultChecks checks, IReadOnlyList<string> names) = await log.ReadAsync(cancellationToken);
        HashSet<Guid> present = [.. (await ListPointsAsync(cancellationToken)).Select(point => point.Id)];
        await log.WriteAsync(checks.With(report, _clock.GetUtcNow()).Only(present), names, cancellationToken);
    }
}
