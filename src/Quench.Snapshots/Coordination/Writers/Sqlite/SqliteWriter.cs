using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Writers.Sqlite;

/// <summary>One SQLite database, held by the locks of its file: no transaction is under way, what was committed is on disk, and nothing is to be rolled back in the copy.</summary>
internal sealed class SqliteWriter(WriterIdentity identity, string path, WriterSearch search) : ApplicationWriter(identity, search.Clock)
{
    internal const string SourceName = "sqlite";

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(1);

    private SqliteLocks? _locks;

    /// <inheritdoc/>
    protected override ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken)
    {
        string folder = Path.GetDirectoryName(path)!;
        string name = Path.GetFileName(path);
        return ValueTask.FromResult(new WriterMetadata
        {
            Method = "the file's own locks keep transactions from beginning; what was committed is synced; nothing is to be rolled back in a copy",
            Components =
            [
                new WriterComponent
                {
                    Name = "database",
                    Caption = path,
                    Files =
                    [
                        new ComponentFiles(folder, name, IsRecursive: false), new ComponentFiles(folder, name + "-wal", IsRecursive: false),
                        new ComponentFiles(folder, name + "-journal", IsRecursive: false),
                    ],
                    RestoreNote = "Remove the database's -shm, -wal and -journal files before the restored ones take their place.",
                },
            ],
            CannotHold = SqliteLocks.IsDatabase(path) ? null : $"{path} is not an SQLite database",
        });
    }

    /// <inheritdoc/>
    protected override async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        SqliteLocks locks = SqliteLocks.Open(path);
        _locks = locks;
        while (!locks.TryTake())
        {
            await Task.Delay(s_look, Clock, cancellationToken); // the kernel tells nobody who may be told
        }

        locks.Sync();
    }

    /// <inheritdoc/>
    protected override ValueTask<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken) => ValueTask.FromResult(
        _locks is not { } locks ? HoldAnswer.Lost("the locks were let go of")
        : locks.IsStillThere ? HoldAnswer.Held
        : HoldAnswer.Lost($"another file has taken the place of {path}"));

    /// <inheritdoc/>
    protected override void LetGo() => Interlocked.Exchange(ref _locks, null)?.Dispose();

    /// <inheritdoc/>
    protected override string? WhyNotReplace(RestoreOperation operation)
    {
        if (operation.Target != "/" || NativeFile.TryGetStatus(path) is null)
        {
            return null;
        }

        using Microsoft.Win32.SafeHandles.SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite);
        return NativeFile.IsOpenElsewhere(file, writable: true) == true ? $"{path} is in use: stop its application first" : null;
    }
}
