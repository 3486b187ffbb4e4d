namespace Quench.Writers;

/// <summary>
/// Speaks for an application in a backup. Only three things must be said: who it is, how its writes are held, and how they are let go. (docs/writer-protocol.md, version 1)
/// </summary>
/// <remarks>
/// One method is called at a time, in the order below; a <see cref="ReleaseAsync"/> may come at any time after the hold has begun, when what is running has ended. A method fails by a
/// <see cref="WriterFailureException"/>; of another exception, those of files and connections mean that a second try may do, all others that it will not. The token is cancelled when the answer would
/// come too late, and when the backup is given up.
/// </remarks>
public abstract class BackupWriter : IAsyncDisposable
{
    /// <summary>Says who it is and what it owns. Changes nothing and holds nothing: a listing may ask for this alone.</summary>
    public abstract Task<WriterDescription> IdentifyAsync(CancellationToken cancellationToken);

    /// <summary>Begins what takes long: a connection, a checkpoint.</summary>
    public virtual Task PrepareBackupAsync(BackupPlan plan, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Does whatever can be done before the hold, so that the hold is short.</summary>
    public virtual Task PrepareSnapshotAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Holds the application's writes; reads may go on. From its return on, what lies on the volumes is what the application can be restored from.</summary>
    public abstract Task HoldAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Lets go of all that is held, or does nothing when nothing is. Called at the thaw, after a hold that failed, at an abort, when the limit has passed and when the conversation ends: in every case in
    /// which something may be held, and perhaps more than once.
    /// </summary>
    /// <returns>Whether the application confirms that its writes were held all the time since <see cref="HoldAsync"/> returned. In doubt: false.</returns>
    public abstract Task<bool> ReleaseAsync();

    /// <summary>Hands over what a restore needs and lies in no file of the image.</summary>
    /// <returns>At most 16.</returns>
    public virtual Task<IReadOnlyList<WriterDocument>> GetDocumentsAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<WriterDocument>>([]);

    /// <summary>The backup is over. The place to truncate logs, if it may.</summary>
    public virtual Task CompleteAsync(BackupOutcome outcome, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Makes way for a restore.</summary>
    public virtual Task PreRestoreAsync(RestorePlan plan, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Starts again after a restore.</summary>
    public virtual Task PostRestoreAsync(RestorePlan plan, bool succeeded, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Lets go of all that is held.</summary>
    public virtual async ValueTask DisposeAsync()
    {
        await ReleaseAsync();
        GC.SuppressFinalize(this);
    }
}
