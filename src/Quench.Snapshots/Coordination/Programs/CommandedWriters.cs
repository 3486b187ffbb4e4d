namespace Quench.Snapshots.Coordination.Programs;

/// <summary>The applications with the user's commands around them: the first command, applications held, the instant, applications let go, the second command.</summary>
/// <param name="commands">The user's.</param>
/// <param name="writers">The applications; null for none.</param>
public sealed class CommandedWriters(BackupCommands commands, IApplicationWriters? writers) : IApplicationWriters
{
    /// <inheritdoc/>
    public TimeSpan LongestHold => (writers?.LongestHold ?? TimeSpan.Zero) + commands.LongestAroundSnapshot + commands.LongestAroundSnapshot;

    /// <inheritdoc/>
    public async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        await commands.BeforeSnapshotAsync(cancellationToken);
        try
        {
            if (writers is not null)
            {
                await writers.HoldAsync(cancellationToken);
            }
        }
        catch
        {
            await commands.AfterSnapshotAsync(new CommandStatus(false));
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<InstantVerdict> LetGoAsync(bool taken)
    {
        InstantVerdict verdict = writers is null ? InstantVerdict.Keep : await writers.LetGoAsync(taken);
        bool stands = taken && verdict == InstantVerdict.Keep;
        await commands.AfterSnapshotAsync(new CommandStatus(stands, verdict == InstantVerdict.TooLate ? "SNAP-123" : null));
        return verdict;
    }
}
