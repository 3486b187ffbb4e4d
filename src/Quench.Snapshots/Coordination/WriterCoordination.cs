namespace Quench.Snapshots.Coordination;

/// <summary>
/// The applications of a backup, from the first question to the outcome. The requestor makes one, gives it to the provider, settles it before the point is committed, and
/// tells it how the backup ended. Disposing lets go of everybody, whatever happened.
/// </summary>
/// <remarks>Each try at an instant has writers of its own: what an earlier try left behind in them is nobody's concern.</remarks>
public sealed class WriterCoordination : IApplicationWriters, IAsyncDisposable
{
    private readonly CoordinationOptions _options;
    private readonly TimeProvider _clock;
    private CoordinationAttempt? _attempt;
    private ComponentPlaces? _places;
    private int _triesLeft;

    /// <summary>Nothing is asked yet.</summary>
    /// <param name="options">Which volumes, where writers are looked for, the limits.</param>
    /// <param name="clock">Times everything.</param>
    public WriterCoordination(CoordinationOptions options, TimeProvider clock)
    {
        _options = options;
        _clock = clock;
        _triesLeft = options.Retries;
    }

    /// <summary>The snapshot set of the try that counts.</summary>
    public Guid SetId { get; private set; }

    /// <summary>How long each step may take.</summary>
    public CoordinationLimits Limits => _options.Limits;

    /// <summary>How many instants were tried.</summary>
    public int Tries { get; private set; }

    /// <summary>Where the components of the writers that were found lie.</summary>
    public ComponentPlaces Places => _places ?? ComponentPlaces.None;

    /// <inheritdoc/>
    public TimeSpan LongestHold => _options.Limits.Call + _options.Limits.Call + _options.Limits.Writers + _options.Limits.Thaw;

    /// <summary>Finds the writers and asks them what they own, before anything is prepared.</summary>
    /// <param name="cancellationToken">Gives up; nobody is held yet.</param>
    /// <returns>What is known of each.</returns>
    public async Task<IReadOnlyList<WriterReport>> IdentifyAsync(CancellationToken cancellationToken)
    {
        await BeginAsync(cancellationToken);
        return _attempt!.Report();
    }

    /// <inheritdoc/>
    public async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        if (_attempt is null or { Phase: not CoordinatorPhase.Identified })
        {
            await BeginAsync(cancellationToken);
        }

        CoordinationAttempt attempt = _attempt!;
        Tries++;
        try
        {
            WriterChoice choice = new(_options.Components, _options.Excluded);
            BackupOperation operation = new() { SetId = SetId, Volumes = _options.Volumes, Kind = _options.Kind, HoldLimit = _options.Limits.Writers };
            IReadOnlyList<WriterReport> found = attempt.Report();
            await attempt.PrepareBackupAsync(operation, index => choice.Wants(found[index]) && Places.TouchesSet(index), cancellationToken);
            await attempt.HoldAsync(cancellationToken);
        }
        catch
        {
            await attempt.AbortAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<InstantVerdict> LetGoAsync(bool taken)
    {
        if (_attempt is not { } attempt)
        {
            return InstantVerdict.TooLate; // disposed meanwhile: everybody has been let go of
        }

        await attempt.LetGoAsync(taken);
        if (attempt.ProviderWasLate)
        {
            await attempt.AbortAsync();
            return InstantVerdict.TooLate;
        }

        if (taken && _triesLeft > 0 && attempt.MayDoBetter())
        {
            _triesLeft--;
            await attempt.AbortAsync();
            return InstantVerdict.TryAgain;
        }

        return InstantVerdict.Keep;
    }

    /// <summary>Waits until the writers have handed over what a restore needs; before the point is committed.</summary>
    /// <returns>What everybody did.</returns>
    public async Task<IReadOnlyList<WriterReport>> SettleAsync(CancellationToken cancellationToken)
    {
        if (_attempt is not { } attempt)
        {
            return [];
        }

        await attempt.SettleAsync(cancellationToken);
        return attempt.Report();
    }

    /// <summary>The point is committed: writers are told.</summary>
    /// <param name="point">The point.</param>
    /// <param name="cancellationToken">Stops waiting for them.</param>
    /// <returns>What everybody did, this included.</returns>
    public async Task<IReadOnlyList<WriterReport>> CompleteAsync(Guid point, CancellationToken cancellationToken)
    {
        if (_attempt is not { Phase: CoordinatorPhase.Imaging } attempt)
        {
            return [];
        }

        await attempt.CompleteAsync(point, cancellationToken);
        return attempt.Report();
    }

    /// <summary>Lets go of everybody: a backup that was not completed is aborted.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_attempt is { } attempt)
        {
            _attempt = null;
            await attempt.DisposeAsync();
        }
    }

    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        await DisposeAsync();
        SetId = Guid.NewGuid();
        string[] mountPoints = [.. _options.Volumes.Select(volume => volume.MountPoint).OfType<string>()];
        WriterSearch search = new(mountPoints, _options.Settings, _clock);
        List<IWriter> writers = [];
        try
        {
            foreach (IWriterSource source in _options.Sources)
            {
                writers.AddRange(await FindAsync(source, search, cancellationToken));
            }
        }
        catch
        {
            await new CoordinationAttempt(writers, _options.Limits, _clock).DisposeAsync();
            throw;
        }

        CoordinationAttempt attempt = new(writers, _options.Limits, _clock);
        _attempt = attempt;
        await attempt.IdentifyAsync(cancellationToken);
        _places = ComponentPlaces.Find(_options.Volumes, attempt.Metadata);
    }

    /// <summary>A source that can't look is a writer that does not say who it is: what it would have found is not known, and the grade must not pretend.</summary>
    private async Task<IReadOnlyList<IWriter>> FindAsync(IWriterSource source, WriterSearch search, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new(_options.Limits.Call, _clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await Task.Run(() => source.FindAsync(search, either.Token).AsTask(), either.Token).WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return [new AbsentWriter(source.Name, WriterError.Timeout, $"looking for it took longer than {_options.Limits.Call.TotalSeconds:0} s")];
        }
        catch (Exception failure) when (failure is not (OperationCanceledException or OutOfMemoryException))
        {
            return [new AbsentWriter(source.Name, WriterError.NonRetryable, failure.Message)];
        }
    }
}
