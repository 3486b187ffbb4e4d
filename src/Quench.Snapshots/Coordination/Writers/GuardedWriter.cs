using Quench.Snapshots.Coordination.Holds;

namespace Quench.Snapshots.Coordination.Writers;

/// <summary>
/// A writer of an application that would stay held if we died: a process of its own takes the hold and ends it (<see cref="HoldGuard"/>). Should that one be killed, we end the hold
/// ourselves.
/// </summary>
internal abstract class GuardedWriter(WriterIdentity identity, TimeProvider clock) : ApplicationWriter(identity, clock)
{
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(4); // the coordination waits five for a writer to go away

    private readonly Lock _gate = new();      // guards the three below
    private HoldGuard? _guard;
    private bool _wasAsked;                   // the guard may have taken the hold
    private Task _rescuing = Task.CompletedTask;

    /// <summary>What the guard is to hold; from the first look on.</summary>
    protected abstract IReadOnlyList<string> Words { get; }

    /// <summary>The process of the guard; null when there is none. For tests.</summary>
    internal int? GuardProcess => _guard?.ProcessId;

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        HoldGuard? guard;
        Task rescuing;
        lock (_gate)
        {
            (guard, rescuing) = (_guard, _rescuing);
        }

        await Task.WhenAny(Task.WhenAll(guard?.Ended ?? Task.CompletedTask, rescuing), Task.Delay(s_endLimit, Clock)); // it lets go with or without us
    }

    /// <inheritdoc/>
    protected override async ValueTask ApproachAsync(CancellationToken cancellationToken)
    {
        HoldGuard guard = await HoldGuard.StartAsync(Words, cancellationToken);
        lock (_gate)
        {
            _guard = guard;
        }

        _ = WatchAsync(guard);
    }

    /// <inheritdoc/>
    protected override async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        HoldGuard guard;
        lock (_gate)
        {
            guard = _guard ?? throw new WriterException(WriterError.Retryable, "its guard has ended; nothing is held");
            _wasAsked = true;
        }

        await guard.HoldAsync(Operation!.HoldLimit, cancellationToken);
    }

    /// <inheritdoc/>
    protected override async ValueTask<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken) => await _guard!.ReleaseAsync(cancellationToken);

    /// <inheritdoc/>
    protected override async ValueTask<IReadOnlyList<WriterDocument>> HandOverAsync(CancellationToken cancellationToken)
    {
        await _guard!.SettleAsync(cancellationToken);
        return [];
    }

    /// <inheritdoc/>
    protected override void LetGo()
    {
        lock (_gate)
        {
            _guard?.Dispose();
        }
    }

    /// <summary>Ends what the guard may have left: it was killed. On any thread, at any time; bounded by itself.</summary>
    protected abstract Task LetGoWithoutGuardAsync();

    private async Task WatchAsync(HoldGuard guard)
    {
        await guard.Ended;
        if (!guard.EndedInOrder)
        {
            lock (_gate)
            {
                _rescuing = _wasAsked ? Task.Run(RescueAsync) : Task.CompletedTask;
            }
        }

        EndHold("its guard had let go: the hold's limit had passed, or the guard was killed");
    }

    private async Task RescueAsync()
    {
        try
        {
            await LetGoWithoutGuardAsync();
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            await Console.Error.WriteLineAsync($"quench: {failure.Message}"); // nobody waits for this any more
        }
    }
}
