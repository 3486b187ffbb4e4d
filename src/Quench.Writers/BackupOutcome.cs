namespace Quench.Writers;

/// <summary>How a backup ended.</summary>
/// <param name="Succeeded">Whether there is a recovery point.</param>
/// <param name="Point">Its id; null when there is none.</param>
/// <param name="MayTruncateLogs">Whether what is in it need not be kept in logs any more.</param>
public sealed record BackupOutcome(bool Succeeded, string? Point, bool MayTruncateLogs);
