namespace Quench.Snapshots.Coordination;

/// <summary>Stands for writers that could not be looked for: it fails where they would have said who they are, so that the report shows them.</summary>
/// <param name="name">What was looked for.</param>
/// <param name="error">Why it failed.</param>
/// <param name="message">The same in words.</param>
internal sealed class AbsentWriter(string name, WriterError error, string message) : IWriter
{
    private static readonly Guid s_id = new("8f0e4c0a-31d6-4a8c-9d0b-5b1e6f0d7a11");

    public WriterIdentity Identity { get; } = new(s_id, WriterIdentity.InstanceIdOf(s_id, name), name);

    public ValueTask<WriterMetadata> IdentifyAsync(CancellationToken cancellationToken) => throw new WriterException(error, message);

    public ValueTask PrepareBackupAsync(BackupOperation operation, CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask PrepareSnapshotAsync(CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask FreezeAsync(CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask<HoldAnswer> ThawAsync(CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask<IReadOnlyList<WriterDocument>> PostSnapshotAsync(CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask BackupCompleteAsync(BackupOutcome outcome, CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask AbortAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask PreRestoreAsync(RestoreOperation operation, CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask PostRestoreAsync(RestoreOperation operation, bool succeeded, CancellationToken cancellationToken) => throw NeverCalled();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static InvalidOperationException NeverCalled() => new("a writer that did not say who it is is not asked for more");
}
