using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers;

/// <summary>
/// What the writers that are built in have in common: a hold that ends by itself, a way out on every failure, failures in the words of writers. What is special about an application is
/// in five methods.
/// </summary>
internal abstract class ApplicationWriter(WriterIdentity identity, TimeProvider clock) : IWriter
{
    private readonly Lock _gate = new(); // guards the three below
    private ITimer? _limit;
    private bool _isHolding;
    private string? _lost; // why the hold ended before its thaw

    /// <inheritdoc/>
    public WriterIdentity Identity => identity;

    /// <summary>The backup; set from PrepareBackup on.</summary>
    protected BackupOperation? Operation { get; private set; }

    protected TimeProvider Clock => clock;

    /// <inheritdoc/>
    public ValueTask<WriterMetadata> IdentifyAsync(CancellationToken cancellationToken) => TryAsync(AskAsync, cancellationToken);

    /// <inheritdoc/>
    public ValueTask PrepareBackupAsync(BackupOperation operation, CancellationToken cancellationToken)
    {
        Operation = operation;
        return TryAsync(BeginAsync, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask PrepareSnapshotAsync(CancellationToken cancellationToken) => TryAsync(ApproachAsync, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask FreezeAsync(CancellationToken cancellationToken)
    {
        BeginHold();
        try
        {
            await TryAsync(HoldAsync, cancellationToken);
            if (WhyNotHolding() is { } reason)
            {
                throw new WriterException(WriterError.Retryable, reason);
            }
        }
        catch
        {
            EndHold(null);
            LetGo(); // what was taken after an abort, too
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<HoldAnswer> ThawAsync(CancellationToken cancellationToken)
    {
        if (WhyNotHolding() is { } reason)
        {
            return HoldAnswer.Lost(reason);
        }

        try
        {
            HoldAnswer answer = await TryAsync(ReleaseAsync, cancellationToken);
            return WhyNotHolding() is { } late ? HoldAnswer.Lost(late) : answer;
        }
        catch (WriterException failure)
        {
            return HoldAnswer.Lost(WhyNotHolding() ?? failure.Message);
        }
        finally
        {
            EndHold(null);
        }
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<WriterDocument>> PostSnapshotAsync(CancellationToken cancellationToken) => TryAsync(HandOverAsync, cancellationToken);

    /// <inheritdoc/>
    public ValueTask BackupCompleteAsync(BackupOutcome outcome, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public ValueTask AbortAsync(CancellationToken cancellationToken)
    {
        EndHold("the backup was given up");
        LetGo();
        return default;
    }

    /// <inheritdoc/>
    public virtual ValueTask PreRestoreAsync(RestoreOperation operation, CancellationToken cancellationToken) => WhyNotReplace(operation) is { } reason
        ? throw new WriterException(WriterError.NonRetryable, reason)
        : default;

    /// <inheritdoc/>
    public virtual ValueTask PostRestoreAsync(RestoreOperation operation, bool succeeded, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        EndHold("the backup has ended");
        LetGo();
        return default;
    }

    /// <summary>Identify.</summary>
    protected abstract ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken);

    /// <summary>PrepareBackup.</summary>
    protected virtual ValueTask BeginAsync(CancellationToken cancellationToken) => default;

    /// <summary>PrepareSnapshot.</summary>
    protected virtual ValueTask ApproachAsync(CancellationToken cancellationToken) => default;

    /// <summary>Freeze.</summary>
    protected abstract ValueTask HoldAsync(CancellationToken cancellationToken);

    /// <summary>Thaw. Whatever comes of it, <see cref="LetGo"/> is called afterwards.</summary>
    protected abstract ValueTask<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken);

    /// <summary>PostSnapshot.</summary>
    protected virtual ValueTask<IReadOnlyList<WriterDocument>> HandOverAsync(CancellationToken cancellationToken) => ValueTask.FromResult<IReadOnlyList<WriterDocument>>([]);

    /// <summary>
    /// Lets go of everything by ending what it hangs on, at once and without asking: closes connections and files. After each hold and each failure; on any thread, at any time, more
    /// than once; never throws. A later call connects again.
    /// </summary>
    protected abstract void LetGo();

    /// <summary>Why the files can't be put back now; null when they can.</summary>
    protected abstract string? WhyNotReplace(RestoreOperation operation);

    /// <summary>The hold is over, for a reason that the writer has noticed by itself.</summary>
    protected void EndHold(string? reason)
    {
        lock (_gate)
        {
            if (!_isHolding)
            {
                return;
            }

            _isHolding = false;
            _lost ??= reason;
            _limit?.Dispose();
            _limit = null;
        }

        LetGo();
    }

    private void BeginHold()
    {
        TimeSpan limit = Operation!.HoldLimit;
        lock (_gate)
        {
            _lost = null;
            _isHolding = true;
            _limit = clock.CreateTimer(
                static writer => ((ApplicationWriter)writer!).EndHold("the hold's limit had passed"), this, limit, Timeout.InfiniteTimeSpan);
        }
    }

    private string? WhyNotHolding()
    {
        lock (_gate)
        {
            return _isHolding ? null : _lost ?? "nothing was held";
        }
    }

    private async ValueTask TryAsync(Func<CancellationToken, ValueTask> call, CancellationToken cancellationToken) => await TryAsync(
        async token =>
        {
            await call(token);
            return true;
        },
        cancellationToken);

    /// <summary>Failures of the conversation in the words of writers. What was under way when one failed is in doubt, so everything is let go of.</summary>
    private async ValueTask<T> TryAsync<T>(Func<CancellationToken, ValueTask<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call(cancellationToken);
        }
        catch (ServerRefusalException refusal)
        {
            LetGo();
            throw new WriterException(WriterError.NonRetryable, $"{Identity} refused: {refusal.Message}", refusal);
        }
        catch (Exception failure) when (failure is IOException or SocketException or ObjectDisposedException or UnauthorizedAccessException)
        {
            LetGo();
            cancellationToken.ThrowIfCancellationRequested();
            throw new WriterException(WriterError.NotResponding, $"{Identity} does not answer: {failure.Message}", failure);
        }
        catch
        {
            LetGo();
            throw;
        }
    }
}
