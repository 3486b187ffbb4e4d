using System.Collections.Concurrent;
using Quench.Snapshots.Coordination;

namespace Quench.Tests.Snapshots.Coordination;

/// <summary>A writer that does as it is told by a test, and remembers what it was asked.</summary>
internal sealed class ScriptedWriter(string name, FreezeLevel level = FreezeLevel.BackEnd, string folder = "/") : IWriter
{
    private static readonly Guid s_id = new("11111111-2222-4333-8444-555555555555");

    /// <summary>What it does instead of answering, by event.</summary>
    public Dictionary<WriterEvent, Func<CancellationToken, Task>> Instead { get; } = [];

    /// <summary>What it was asked, in order.</summary>
    public ConcurrentQueue<WriterEvent> Heard { get; } = [];

    public HoldAnswer Held { get; set; } = HoldAnswer.Held;

    public string? CannotHold { get; init; }

    public BackupOutcome? Outcome { get; private set; }

    public bool IsDisposed { get; private set; }

    public WriterIdentity Identity { get; } = new(s_id, WriterIdentity.InstanceIdOf(s_id, name), name);

    public async ValueTask<WriterMetadata> IdentifyAsync(CancellationToken cancellationToken)
    {
        await DoAsync(WriterEvent.Identify, cancellationToken);
        return new WriterMetadata
        {
            Level = level,
            Version = "1",
            Method = "it does as it is told",
            CannotHold = CannotHold,
            Components = [new WriterComponent { Name = "data", Files = [new ComponentFiles(folder)], RestoreNote = "put it <back> & start \u0001 it" }],
        };
    }

    public ValueTask PrepareBackupAsync(BackupOperation operation, CancellationToken cancellationToken) => DoAsync(WriterEvent.PrepareBackup, cancellationToken);

    public ValueTask PrepareSnapshotAsync(CancellationToken cancellationToken) => DoAsync(WriterEvent.PrepareSnapshot, cancellationToken);

    public ValueTask FreezeAsync(CancellationToken cancellationToken) => DoAsync(WriterEvent.Freeze, cancellationToken);

    public async ValueTask<HoldAnswer> ThawAsync(CancellationToken cancellationToken)
    {
        await DoAsync(WriterEvent.Thaw, cancellationToken);
        return Held;
    }

    public async ValueTask<IReadOnlyList<WriterDocument>> PostSnapshotAsync(CancellationToken cancellationToken)
    {
        await DoAsync(WriterEvent.PostSnapshot, cancellationToken);
        return [new WriterDocument("label", "/data/label", "START <WAL> & more\n")];
    }

    public ValueTask BackupCompleteAsync(BackupOutcome outcome, CancellationToken cancellationToken)
    {
        Outcome = outcome;
        return DoAsync(WriterEvent.BackupComplete, cancellationToken);
    }

    public ValueTask AbortAsync(CancellationToken cancellationToken) => DoAsync(WriterEvent.Abort, cancellationToken);

    public ValueTask PreRestoreAsync(RestoreOperation operation, CancellationToken cancellationToken) => DoAsync(WriterEvent.PreRestore, cancellationToken);

    public ValueTask PostRestoreAsync(RestoreOperation operation, bool succeeded, CancellationToken cancellationToken) => DoAsync(WriterEvent.PostRestore, cancellationToken);

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }

    private async ValueTask DoAsync(WriterEvent step, CancellationToken cancellationToken)
    {
        Heard.Enqueue(step);
        if (Instead.TryGetValue(step, out Func<CancellationToken, Task>? instead))
        {
            await instead(cancellationToken);
        }
    }
}

/// <summary>Finds the writers that a test made; each try may have others.</summary>
internal sealed class ScriptedSource(params Func<IWriter>[] make) : IWriterSource
{
    public string Name => "scripted";

    public List<IWriter> Made { get; } = [];

    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken)
    {
        IWriter[] writers = [.. make.Select(one => one())];
        Made.AddRange(writers);
        return ValueTask.FromResult<IReadOnlyList<IWriter>>(writers);
    }
}
