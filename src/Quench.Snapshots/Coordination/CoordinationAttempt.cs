using Quench.Blocks;

namespace Quench.Snapshots.Coordination;

/// <summary>
/// One try at an instant: carries out what the <see cref="Coordinator"/> decides, with real writers and real time, and tells it what came of it.
/// </summary>
/// <remarks>Every entry to the coordinator is under one lock; calls of writers run beside it, each with its deadline as its token.</remarks>
internal sealed class CoordinationAttempt : IAsyncDisposable
{
    private static readonly TimeSpan s_disposeLimit = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();                   // guards the coordinator, the timer and the three below
    private readonly Coordinator _coordinator;
    private readonly CancellationTokenSource?[] _calls;    // of each writer, the call under way
    private readonly WriterMetadata?[] _metadata;
    private readonly IReadOnlyList<WriterDocument>[] _documents;
    private readonly IReadOnlyList<IWriter> _writers;
    private readonly TimeProvider _clock;
    private readonly long _began;
    private readonly ITimer _timer;
    private TaskCompletionSource _moved = New();           // completes at the next change; replaced under the lock
    private BackupOperation? _operation;
    private BackupOutcome _outcome = new(Succeeded: false, PointId: null, MayTruncateLogs: false);
    private bool _isFull;
    private bool _isDisposed;

    internal CoordinationAttempt(IReadOnlyList<IWriter> writers, CoordinationLimits limits, TimeProvider clock)
    {
        _writers = writers;
        _clock = clock;
        _began = clock.GetTimestamp();
        _coordinator = new Coordinator(writers.Count, limits);
        _calls = new CancellationTokenSource?[writers.Count];
        _metadata = new WriterMetadata?[writers.Count];
        _documents = new IReadOnlyList<WriterDocument>[writers.Count];
        Array.Fill(_documents, []);
        _timer = clock.CreateTimer(_ => Tell((coordinator, now) => coordinator.Tick(now)), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        for (int index = 0; index < writers.Count; index++)
        {
            if (writers[index] is IRemoteWriter remote)
            {
                _ = WatchAsync(remote, index);
            }
        }
    }

    /// <summary>What each writer said of itself; null for one that did not.</summary>
    internal IReadOnlyList<WriterMetadata?> Metadata => _metadata;

    internal CoordinatorPhase Phase
    {
        get
        {
            lock (_gate)
            {
                return _coordinator.Phase;
            }
        }
    }

    internal bool ProviderWasLate
    {
        get
        {
            lock (_gate)
            {
                return _coordinator.ProviderWasLate;
            }
        }
    }

    /// <summary>Asks everybody who they are.</summary>
    internal Task IdentifyAsync(CancellationToken cancellationToken)
    {
        Tell((coordinator, now) => coordinator.Begin(now));
        return ReachAsync(CoordinatorPhase.Identified, cancellationToken);
    }

    /// <summary>Tells those who take part what will be backed up. Those that can't hold are left out.</summary>
    internal Task PrepareBackupAsync(BackupOperation operation, Func<int, bool> takesPart, CancellationToken cancellationToken)
    {
        _operation = operation;
        _isFull = operation.Kind == BackupKind.Full;
        Tell((coordinator, now) =>
        {
            for (int index = 0; index < _writers.Count; index++)
            {
                if (!takesPart(index))
                {
                    coordinator.LeaveOut(index);
                }
            }

            coordinator.PrepareBackup(now);
        });
        return ReachAsync(CoordinatorPhase.Prepared, cancellationToken);
    }

    /// <summary>Makes them quiet. When this returns the provider's time runs.</summary>
    internal Task HoldAsync(CancellationToken cancellationToken)
    {
        Tell((coordinator, now) => coordinator.Hold(now));
        return ReachAsync(CoordinatorPhase.Creating, cancellationToken);
    }

    /// <summary>The provider is done. Returns when everybody has answered to the thaw, or is not waited for any longer.</summary>
    internal Task LetGoAsync(bool taken)
    {
        Tell((coordinator, now) => coordinator.InstantEnded(now, taken));
        return ReachAsync(CoordinatorPhase.PostSnapshot, CancellationToken.None);
    }

    /// <summary>Waits until writers have handed over what a restore needs.</summary>
    internal Task SettleAsync(CancellationToken cancellationToken) => ReachAsync(CoordinatorPhase.Imaging, cancellationToken);

    /// <summary>Tells the writers of a point that is committed.</summary>
    internal Task CompleteAsync(Guid point, CancellationToken cancellationToken)
    {
        _outcome = new BackupOutcome(Succeeded: true, point, _isFull);
        Tell((coordinator, now) => coordinator.Complete(now));
        return ReachAsync(CoordinatorPhase.Ended, cancellationToken);
    }

    /// <summary>Gives up: everybody lets go. Returns when nobody is waited for.</summary>
    internal Task AbortAsync()
    {
        Tell((coordinator, now) => coordinator.Abort(now));
        return ReachAsync(CoordinatorPhase.Ended, CancellationToken.None);
    }

    /// <summary>What everybody did so far.</summary>
    internal IReadOnlyList<WriterReport> Report()
    {
        lock (_gate)
        {
            return [.. _coordinator.Seats.Select((seat, index) => new WriterReport
            {
                Identity = _writers[index].Identity,
                Metadata = _metadata[index],
                State = seat.State,
                Error = seat.Error,
                Message = seat.Message ?? _metadata[index]?.CannotHold,
                Steps = [.. seat.Steps],
                HeldFor = seat.HeldFor,
                WasHeld = seat.WasHeld,
                IsConsistent = seat.IsConsistent,
                Documents = _documents[index],
            })];
        }
    }

    /// <summary>Whether somebody did not hold who may another time, and nobody needs to be asked for more time.</summary>
    internal bool MayDoBetter()
    {
        lock (_gate)
        {
            return _coordinator.IsTaken && _coordinator.Seats.Any(seat =>
                seat.State is WriterState.FailedAtFreeze or WriterState.FailedAtThaw && seat.Error is WriterError.Retryable or WriterError.InconsistentSnapshot);
        }
    }

    /// <summary>Lets go of everybody, if nobody has, and of the writers. A writer that hangs is not waited for.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        await AbortAsync();
        await _timer.DisposeAsync();
        await Task.WhenAll(_writers.Select(writer => DisposeAsync(writer)));
    }

    private async Task DisposeAsync(IWriter writer)
    {
        try
        {
            await Task.Run(() => writer.DisposeAsync().AsTask()).WaitAsync(s_disposeLimit, _clock);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // It has been told to let go before, and its report is made: how it goes away is its own affair.
        }
    }

    private async Task WatchAsync(IRemoteWriter writer, int index)
    {
        string reason = await writer.Lost;
        if (!_isDisposed)
        {
            Tell((coordinator, now) => coordinator.Gone(now, index, reason));
        }
    }

    /// <summary>Tells the coordinator something, and carries out what it decides.</summary>
    private void Tell(Action<Coordinator, TimeSpan> what)
    {
        TaskCompletionSource moved;
        lock (_gate)
        {
            what(_coordinator, Now);
            while (_coordinator.TryTakeOrder(out CoordinatorOrder order))
            {
                CarryOut(order);
            }

            TimeSpan next = _coordinator.NextDeadline is { } deadline ? Later(deadline - Now) : Timeout.InfiniteTimeSpan;
            _timer.Change(next, Timeout.InfiniteTimeSpan);
            (moved, _moved) = (_moved, New());
        }

        moved.TrySetResult();
    }

    private void CarryOut(CoordinatorOrder order)
    {
        switch (order.Kind)
        {
            case OrderKind.Call:
                Cancel(order.Writer);
                CancellationTokenSource deadline = new(Later(order.Deadline - Now), _clock);
                _calls[order.Writer] = deadline;
                _ = Task.Run(() => CallAsync(order, deadline), CancellationToken.None);
                break;
            case OrderKind.HangUp:
                Cancel(order.Writer);
                _ = DisposeAsync(_writers[order.Writer]);
                break;
            default:
                break; // TakeInstant: whoever waits for this phase goes on
        }
    }

    private void Cancel(int writer)
    {
        // Not disposed here: the call may still be looking at its token. It disposes it when it returns.
        CancellationTokenSource? call = _calls[writer];
        _calls[writer] = null;
        if (call is not null)
        {
            _ = call.CancelAsync();
        }
    }

    private async Task CallAsync(CoordinatorOrder order, CancellationTokenSource deadline)
    {
        WriterAnswer answer;
        try
        {
            answer = await AskAsync(order, deadline.Token);
        }
        catch (WriterException failure)
        {
            answer = WriterAnswer.Failed(failure.Error == WriterError.None ? WriterError.NonRetryable : failure.Error, failure.Message);
        }
        catch (OperationCanceledException)
        {
            answer = WriterAnswer.Failed(WriterError.Timeout, "it was not done in time");
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            answer = WriterAnswer.Failed(WriterError.NonRetryable, failure is QuenchException ? failure.Message : $"{failure.GetType().Name}: {failure.Message}");
        }

        Tell((coordinator, now) => coordinator.Answer(now, order.Writer, order.Call, answer));
        lock (_gate)
        {
            if (_calls[order.Writer] == deadline)
            {
                _calls[order.Writer] = null;
            }
        }

        deadline.Dispose();
    }

    private async ValueTask<WriterAnswer> AskAsync(CoordinatorOrder order, CancellationToken token)
    {
        IWriter writer = _writers[order.Writer];
        if (writer is IRemoteWriter remote)
        {
            remote.NextDeadline = order.Deadline - Now;
        }

        switch (order.Event)
        {
            case WriterEvent.Identify:
                WriterMetadata metadata = await writer.IdentifyAsync(token);
                _metadata[order.Writer] = metadata;
                return new WriterAnswer { Level = metadata.Level };
            case WriterEvent.PrepareBackup:
                await writer.PrepareBackupAsync(_operation!, token);
                return WriterAnswer.Done;
            case WriterEvent.PrepareSnapshot:
                await writer.PrepareSnapshotAsync(token);
                return WriterAnswer.Done;
            case WriterEvent.Freeze:
                await writer.FreezeAsync(token);
                return WriterAnswer.Done;
            case WriterEvent.Thaw:
                HoldAnswer held = await writer.ThawAsync(token);
                return new WriterAnswer { IsHeld = held.IsHeld, Message = held.Reason };
            case WriterEvent.PostSnapshot:
                _documents[order.Writer] = Checked(await writer.PostSnapshotAsync(token));
                return WriterAnswer.Done;
            case WriterEvent.BackupComplete:
                await writer.BackupCompleteAsync(_outcome with { MayTruncateLogs = _outcome.MayTruncateLogs && IsConsistent(order.Writer) }, token);
                return WriterAnswer.Done;
            default:
                await writer.AbortAsync(token);
                return WriterAnswer.Done;
        }
    }

    private bool IsConsistent(int writer)
    {
        lock (_gate)
        {
            return _coordinator.Seats[writer].IsConsistent;
        }
    }

    private static IReadOnlyList<WriterDocument> Checked(IReadOnlyList<WriterDocument> documents) =>
        documents.Count <= WriterDocument.MostOfOneWriter && documents.All(document => document.Text.Length <= WriterDocument.LongestText)
            ? documents
            : throw new WriterException(
                WriterError.NonRetryable,
                $"it handed over more than {WriterDocument.MostOfOneWriter} documents, or one of more than {WriterDocument.LongestText} characters");

    /// <summary>Waits until the coordination is in a phase or past it.</summary>
    private async Task ReachAsync(CoordinatorPhase phase, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task moved;
            lock (_gate)
            {
                if (_coordinator.Phase >= phase && (_coordinator.Phase != CoordinatorPhase.Aborting || phase == CoordinatorPhase.Aborting))
                {
                    return;
                }

                moved = _moved.Task;
            }

            await moved.WaitAsync(cancellationToken);
        }
    }

    private TimeSpan Now => _clock.GetElapsedTime(_began);

    /// <summary>A timer that fires a hair too early finds nothing to do: it is set for the millisecond after.</summary>
    private static TimeSpan Later(TimeSpan span) => TimeSpan.FromMilliseconds(Math.Max(0, Math.Floor(span.TotalMilliseconds) + 1));

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
