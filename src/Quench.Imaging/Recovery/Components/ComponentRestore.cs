using Quench.Blocks;
using Quench.Imaging.Recovery.Files;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;
using Quench.Vault;

namespace Quench.Imaging.Recovery.Components;

/// <summary>Puts components of a point back: first the plan, then the restore of exactly what was planned. Disposing lets go of the image, and tells the writers that were told.</summary>
public sealed class ComponentRestore : IAsyncDisposable
{
    private readonly Dictionary<(string Volume, long Offset), PointFiles> _open = [];
    private readonly BackupVault _vault;
    private readonly ComponentRequest _request;
    private readonly RecoveryPoint _point;
    private RestoreWriters? _writers;

    private ComponentRestore(BackupVault vault, RecoveryPoint point, ComponentRequest request)
    {
        _vault = vault;
        _point = point;
        _request = request;
    }

    /// <summary>What will happen.</summary>
    public ComponentRestorePlan Plan { get; private set; } = null!;

    /// <summary>Thinks it through. Reads the image and looks at the target; writers are asked who they are, and nothing else.</summary>
    /// <param name="vault">The vault; stays open until this is disposed.</param>
    /// <param name="point">The point.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="writers">Where writers are looked for when files go where they were.</param>
    /// <param name="clock">Times them.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">RST-130 to RST-138, RST-141; what the vault and mounting throw.</exception>
    public static async Task<ComponentRestore> PlanAsync(
        BackupVault vault, RecoveryPoint point, ComponentRequest request, CoordinationOptions writers, TimeProvider clock, CancellationToken cancellationToken)
    {
        IReadOnlyList<RestorableComponent> components = ComponentPlanner.Pick(point, request);
        ComponentRestore restore = new(vault, point, request);
        try
        {
            await restore.PlanAsync(components, writers, clock, cancellationToken);
            return restore;
        }
        catch (WriterException failure)
        {
            await restore.DisposeAsync();
            throw ComponentErrors.NotLookedFor(failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            await restore.DisposeAsync();
            throw ComponentErrors.NotCopied(request.To ?? "their folders", failure);
        }
        catch
        {
            await restore.DisposeAsync();
            throw;
        }
    }

    /// <summary>Does it.</summary>
    /// <param name="cancellationToken">Gives up, until the first rename: everything is as it was then.</param>
    /// <exception cref="QuenchException">RST-135, RST-138 to RST-140.</exception>
    public async Task<ComponentRestoreResult> RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await PrepareWritersAsync(cancellationToken);
            DemandQuiet();
            StagingArea area = new(Plan);
            IReadOnlyList<string> putRight = await area.PutRightAsync();
            IReadOnlyList<(string Folder, string Kept)> kept = await area.RunAsync(DemandQuiet, cancellationToken);
            IReadOnlyList<(WriterIdentity, string)> notTold = _writers is null ? [] : await _writers.CompleteAsync(succeeded: true);
            return new ComponentRestoreResult(Plan.FileCount, Plan.Bytes, kept, notTold, putRight);
        }
        finally
        {
            if (_writers is not null)
            {
                await _writers.CompleteAsync(succeeded: false); // nobody is left to be told when all went well
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_writers is not null)
        {
            await _writers.DisposeAsync();
        }

        foreach (PointFiles files in _open.Values)
        {
            await files.DisposeAsync();
        }

        _open.Clear();
    }

    private async Task PlanAsync(IReadOnlyList<RestorableComponent> components, CoordinationOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        WriterIdentity[] writers = [.. components.Select(component => component.Writer).Distinct()];
        if (_request.To is null)
        {
            _writers = await RestoreWriters.FindAsync(options, clock, cancellationToken);
            foreach (WriterIdentity writer in writers)
            {
                if (_writers.WhySilent(writer) is { } why)
                {
                    throw ComponentErrors.Refused(writer, new WriterException(WriterError.NotResponding, why));
                }
            }

            writers = [.. writers.Where(_writers.Has)];
        }
        else
        {
            writers = [];
        }

        ComponentPlanner planner = new(_point, _request, place => OpenAsync(place, cancellationToken));
        Plan = await planner.MakeAsync(components, writers, cancellationToken);
    }

    private async Task<PointFiles> OpenAsync(FolderPlace place, CancellationToken cancellationToken)
    {
        if (!_open.TryGetValue((place.Volume, place.Offset), out PointFiles? files))
        {
            VolumeRecord volume = RestorePlanner.Pick(_point, place.Volume);
            files = await PointFiles.OpenAsync(_vault, volume, place.Offset, _request.Temporary, cancellationToken);
            _open[(place.Volume, place.Offset)] = files;
        }

        return files;
    }

    private async Task PrepareWritersAsync(CancellationToken cancellationToken)
    {
        foreach (WriterIdentity writer in Plan.Asked)
        {
            RestorableComponent[] own = [.. Plan.Components.Where(component => component.Writer == writer)];
            RestoreOperation operation = new(_point.Id, [.. own.Select(component => component.Component.Name)], Plan.Target, own[0].Documents);
            try
            {
                await _writers!.PrepareAsync(writer, operation, cancellationToken);
            }
            catch (WriterException failure)
            {
                throw ComponentErrors.Refused(writer, failure);
            }
        }
    }

    /// <summary>An application that has to be stopped and has no writer here is known by the files that it has open.</summary>
    private void DemandQuiet()
    {
        if (!Plan.IsInPlace || Plan.Components.All(component => component.Component.Restore != RestoreMethod.StopRestoreStart))
        {
            return;
        }

        foreach (RestoreFolder folder in Plan.Folders)
        {
            if (OpenFiles.FindFirst(folder.Target.Path, folder.Choice.Takes) is var (process, file))
            {
                throw ComponentErrors.Open(process, file);
            }
        }
    }
}
