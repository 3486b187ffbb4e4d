namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>
/// The writers of this machine that files are put back for. Each is told before, and afterwards how it went, whatever happens in between: disposing tells those that were not told yet that it
/// failed.
/// </summary>
public sealed class RestoreWriters : IAsyncDisposable
{
    private readonly CoordinationLimits _limits;
    private readonly TimeProvider _clock;
    private readonly IReadOnlyList<IWriter> _found;
    private readonly List<(string Name, string Why)> _silent = [];                         // who did not say who they are
    private readonly List<(IWriter Writer, RestoreOperation Operation)> _told = []; // before, and not yet afterwards

    private RestoreWriters(IReadOnlyList<IWriter> found, CoordinationLimits limits, TimeProvider clock)
    {
        _found = found;
        _limits = limits;
        _clock = clock;
    }

    /// <summary>Finds the writers.</summary>
    /// <param name="options">Where they are looked for, and the limits.</param>
    /// <param name="clock">Times everything.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<RestoreWriters> FindAsync(CoordinationOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        string[] mountPoints = [.. options.Volumes.Select(volume => volume.MountPoint).OfType<string>()];
        WriterSearch search = new(mountPoints, options.Settings, clock);
        List<IWriter> found = [];
        RestoreWriters writers = new(found, options.Limits, clock);
        try
        {
            foreach (IWriterSource source in options.Sources)
            {
                found.AddRange(await writers.LimitAsync(token => source.FindAsync(search, token), cancellationToken));
            }

            foreach (IWriter writer in found)
            {
                await writers.IdentifyAsync(writer, cancellationToken);
            }

            return writers;
        }
        catch
        {
            await writers.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether a writer is here now.</summary>
    public bool Has(WriterIdentity writer) => Find(writer) is not null;

    /// <summary>Why a writer that is here did not say who it is, although its place says that it must be this one; null when there is none such.</summary>
    public string? WhySilent(WriterIdentity writer) => Has(writer)
        ? null
        : _silent.Where(one => WriterIdentity.InstanceIdOf(writer.Id, one.Name) == writer.InstanceId).Select(one => one.Why).FirstOrDefault();

    /// <summary>Has a writer make way for its files; nothing happens when it is not here.</summary>
    /// <param name="writer">Which.</param>
    /// <param name="operation">What is put back.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="WriterException">It does not; it is told that the restore failed.</exception>
    public async Task PrepareAsync(WriterIdentity writer, RestoreOperation operation, CancellationToken cancellationToken)
    {
        if (Find(writer) is { } found)
        {
            _told.Add((found, operation)); // one that failed may have done a part of it
            await LimitAsync(
                async token =>
                {
                    await found.PreRestoreAsync(operation, token);
                    return true;
                },
                cancellationToken);
        }
    }

    /// <summary>Tells all that made way how it went.</summary>
    /// <param name="succeeded">All files are back.</param>
    /// <returns>Which of them could not do what was then to do, and why.</returns>
    public async Task<IReadOnlyList<(WriterIdentity Writer, string Why)>> CompleteAsync(bool succeeded)
    {
        List<(WriterIdentity, string)> failed = [];
        foreach ((IWriter writer, RestoreOperation operation) in _told)
        {
            try
            {
                await LimitAsync(
                    async token =>
                    {
                        await writer.PostRestoreAsync(operation, succeeded, token);
                        return true;
                    },
                    CancellationToken.None);
            }
            catch (WriterException failure)
            {
                failed.Add((writer.Identity, failure.Message));
            }
        }

        _told.Clear();
        return failed;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await CompleteAsync(succeeded: false);
        foreach (IWriter writer in _found)
        {
            await writer.DisposeAsync();
        }
    }

    private IWriter? Find(WriterIdentity writer) => _found.FirstOrDefault(one => one.Identity.Id == writer.Id && one.Identity.InstanceId == writer.InstanceId);

    /// <summary>A writer in another process says who it is only when it is asked. One that does not is not one that is looked for, as far as can be known.</summary>
    private async Task IdentifyAsync(IWriter writer, CancellationToken cancellationToken)
    {
        try
        {
            await LimitAsync(writer.IdentifyAsync, cancellationToken);
        }
        catch (WriterException failure)
        {
            _silent.Add((writer.Identity.InstanceName, failure.Message)); // the files' own users are looked for as well (OpenFiles)
        }
    }

    private async Task<T> LimitAsync<T>(Func<CancellationToken, ValueTask<T>> call, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new(_limits.Call, _clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await Task.Run(() => call(either.Token).AsTask(), either.Token).WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new WriterException(WriterError.Timeout, $"it did not answer within {_limits.Call.TotalSeconds:0} s");
        }
        catch (Exception failure) when (failure is not (WriterException or OperationCanceledException or OutOfMemoryException))
        {
            throw new WriterException(WriterError.NonRetryable, failure.Message, failure);
        }
    }
}
