namespace Quench.Snapshots.Coordination;

/// <summary>
/// An application that takes part in a backup: it says what it owns and how that is restored, holds its writes while the instant is taken, and says whether they really
/// were held. One object serves one backup, and what must stay open from freeze to thaw (a database session, a lock) lives in it.
/// </summary>
/// <remarks>
/// <code>
/// Identify ─▶ PrepareBackup ─▶ PrepareSnapshot ─▶ Freeze ─▶ (the instant) ─▶ Thaw ─▶ PostSnapshot ─▶ BackupComplete
///                  └───────────────┴────────────────┴───────────┴──────────────┴───────────┴──▶ Abort, on any other way out
/// </code>
/// <para>
/// <b>Calls.</b> They come in this order, one after the other. Only <see cref="AbortAsync"/> may come at any time, on another thread, while a call of this writer has not
/// returned yet, and more than once. Each call's token is its deadline; a writer that is late is not waited for, is graded as late, and is told to abort.
/// </para>
/// <para>
/// <b>Failures.</b> A writer that cannot go on throws <see cref="WriterException"/>, which says whether a second try may help. Any other exception counts as not retryable, a
/// cancelled call as a timeout. A failed writer lowers the grade of its volumes; it never stops the others from being thawed.
/// </para>
/// <para>
/// <b>Production comes first.</b> A writer lets go by itself when <see cref="BackupOperation.HoldLimit"/> has passed since its freeze began, whether or not anybody called,
/// and its hold must end with the process that asked for it: by a session that the server drops, or by a guard process where there is none.
/// </para>
/// </remarks>
public interface IWriter : IAsyncDisposable
{
    /// <summary>Who it is. Known without asking the application.</summary>
    WriterIdentity Identity { get; }

    /// <summary>
    /// Asks the application what it is and what it owns. Changes nothing there and holds nothing. May be called by a listing alone, with nothing after it.
    /// </summary>
    /// <param name="cancellationToken">The deadline.</param>
    /// <returns>Its metadata, sealed into the point as it is.</returns>
    ValueTask<WriterMetadata> IdentifyAsync(CancellationToken cancellationToken);

    /// <summary>Says what is about to be backed up, so that what takes long can begin early (a checkpoint, a connection). Holds nothing.</summary>
    /// <param name="operation">The backup; the same object in all calls.</param>
    /// <param name="cancellationToken">The deadline.</param>
    ValueTask PrepareBackupAsync(BackupOperation operation, CancellationToken cancellationToken);

    /// <summary>The freeze is next: whatever can be done before it is done now, so that the freeze is short. Holds no writes yet.</summary>
    /// <param name="cancellationToken">The deadline.</param>
    ValueTask PrepareSnapshotAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Holds the application's writes; reads may go on. When this returns, what lies on the volumes is what the application can be restored from, and stays so until the thaw.
    /// </summary>
    /// <param name="cancellationToken">The deadline. When it is cancelled, or throws, whatever is held already is let go of.</param>
    ValueTask FreezeAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Lets go, and says whether the writes were held all the time since <see cref="FreezeAsync"/> returned. Only what the application itself confirms counts as held: the same session,
    /// the lock still owned. In doubt the answer is <see cref="HoldAnswer.Lost"/>. Lets go whatever it answers.
    /// </summary>
    /// <param name="cancellationToken">The deadline.</param>
    ValueTask<HoldAnswer> ThawAsync(CancellationToken cancellationToken);

    /// <summary>The snapshot exists and everybody writes again. A writer that has to add files to what is restored (a backup label) hands them over now.</summary>
    /// <param name="cancellationToken">The deadline.</param>
    /// <returns>What is sealed into the point beside the image and is needed to restore it; empty for most.</returns>
    ValueTask<IReadOnlyList<WriterDocument>> PostSnapshotAsync(CancellationToken cancellationToken);

    /// <summary>The backup has ended. After a full backup that succeeded a writer may truncate its logs, and only then.</summary>
    /// <param name="outcome">How it ended.</param>
    /// <param name="cancellationToken">The deadline.</param>
    ValueTask BackupCompleteAsync(BackupOutcome outcome, CancellationToken cancellationToken);

    /// <summary>
    /// The backup goes no further. Lets go of everything that is held or may be held. Idempotent; may overtake a call that hangs, and then makes that call end.
    /// </summary>
    /// <param name="cancellationToken">The deadline.</param>
    ValueTask AbortAsync(CancellationToken cancellationToken);

    /// <summary>Its files are about to be put back: the application is stopped, or told to keep away. A new object serves a restore.</summary>
    /// <param name="operation">What is restored.</param>
    /// <param name="cancellationToken">The deadline.</param>
    ValueTask PreRestoreAsync(RestoreOperation operation, CancellationToken cancellationToken);

    /// <summary>The files are back, or could not be put back: the application may start.</summary>
    /// <param name="operation">What was restored.</param>
    /// <param name="succeeded">Whether all files are back.</param>
    /// <param name="cancellationToken">The deadline.</param>
    ValueTask PostRestoreAsync(RestoreOperation operation, bool succeeded, CancellationToken cancellationToken);
}
