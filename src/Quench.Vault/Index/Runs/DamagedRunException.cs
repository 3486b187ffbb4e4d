namespace Quench.Vault.Index.Runs;

/// <summary>A page of a run can't be read, or is not what was written. Never leaves the index: see <see cref="ChunkIndex"/>.</summary>
internal sealed class DamagedRunException(Guid run, long page, Exception? cause)
    : Exception($"page {page} of the run {run:N} can't be read", cause);
