using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Commands.Snapshots;
using Quench.Cli.Commands.Writers;
using Quench.Cli.Output;
using Quench.Imaging.Capture;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Documents;
using Quench.Snapshots.Coordination.Programs;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow.Script;

/// <summary>A script at work: what it has said so far, and the copies that it has taken. Ending it lets go of applications and deletes volatile copies, whatever happened.</summary>
/// <param name="host">The machine.</param>
/// <param name="coordinate">Finds the applications on some volumes, but for those that are excluded.</param>
/// <param name="keep">How copies are kept: where, how large, how long writers may be frozen.</param>
/// <param name="execLimit">How long a program that the script runs may take.</param>
internal sealed class ScriptSession(CliHost host, Func<IReadOnlyList<OperationVolume>, IReadOnlyList<string>, WriterCoordination> coordinate, KeepOptions keep, TimeSpan execLimit) : IAsyncDisposable
{
    private readonly ScriptNames _names = new();
    private readonly ScriptMounts _mounts = new();
    private readonly List<(AttachedVolume Volume, string? Alias)> _volumes = [];
    private readonly List<string> _excluded = [];
    private readonly List<string> _demanded = [];
    private readonly List<ShadowCopy> _volatile = [];
    private WriterCoordination? _writers; // of the last set, until its applications have heard how it ended
    private SetContext _context = new(0, IsPersistent: false, HoldsWriters: true); // as diskshadow begins
    private string? _metadata;
    private bool _isVerbose;
    private bool _isBackup;

    /// <summary>Does one line.</summary>
    /// <exception cref="QuenchException">It failed; the script must end.</exception>
    public async Task DoAsync(ScriptStep step, CancellationToken cancellationToken)
    {
        switch (step)
        {
            case SetContext context:
                _context = context;
                break;
            case SetVerbose verbose:
                _isVerbose = verbose.IsOn;
                break;
            case SetMetadata metadata:
                _metadata = Path.GetFullPath(_names.Expand(step.Line, metadata.Path));
                break;
            case AddVolume volume:
                Add(volume);
                break;
            case AddAlias alias:
                _names.Set(alias.Name, _names.Expand(step.Line, alias.Value));
                break;
            case BeginBackup:
                _isBackup = true;
                break;
            case EndBackup:
                await EndBackupAsync(cancellationToken);
                break;
            case VerifyWriter verify:
                _demanded.Add(verify.Name);
                break;
            case ExcludeWriter exclude:
                _excluded.Add(exclude.Name);
                break;
            case CreateSet:
                await CreateAsync(step.Line, cancellationToken);
                break;
            case Execute execute:
                await ExecuteAsync(execute, cancellationToken);
                break;
            case ListThings list:
                await ListAsync(list, cancellationToken);
                break;
            case Reset:
                await ResetAsync();
                break;
            default:
                await UseAsync(step, cancellationToken);
                break;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await LetGoOfWritersAsync();
        foreach (ShadowCopy copy in _volatile)
        {
            TryDelete(copy);
        }

        _volatile.Clear();
    }

    /// <summary>The steps that use copies which are there.</summary>
    private async Task UseAsync(ScriptStep step, CancellationToken cancellationToken)
    {
        switch (step)
        {
            case ExposeCopy expose:
                string folder = _names.Expand(step.Line, expose.Folder);
                ShadowCopy copy = One(step.Line, _names.Expand(step.Line, expose.Id));
                await _mounts.MountAsync(copy, folder, cancellationToken);
                host.Output.WriteLine($"the copy of {copy.Volume.Name} is mounted at {folder}");
                break;
            case UnexposeCopy unexpose:
                _mounts.Unmount(step.Line, _names.Expand(step.Line, unexpose.What));
                break;
            case DeleteCopies delete:
                Delete(delete);
                break;
            default:
                break; // options that change nothing here
        }
    }

    private void Add(AddVolume wish)
    {
        AttachedVolume volume = SnapshotCommand.Find(_names.Expand(wish.Line, wish.Volume));
        if (_volumes.Exists(one => one.Volume.Name == volume.Name))
        {
            throw ScriptErrors.Failed(wish.Line, $"{volume.Name} is in the set already");
        }

        _volumes.Add((volume, wish.Alias));
    }

    private async Task CreateAsync(int line, CancellationToken cancellationToken)
    {
        if (_volumes.Count == 0)
        {
            throw ScriptErrors.Failed(line, "there is no volume to take a copy of", "say `add volume` before `create`");
        }

        await LetGoOfWritersAsync();
        AttachedVolume[] volumes = [.. _volumes.Select(one => one.Volume)];
        _writers = _context.HoldsWriters ? coordinate(SnapshotTaking.OperationVolumes(volumes), _excluded) : null;
        if (_writers is not null)
        {
            await DemandWritersAsync(line, _writers, cancellationToken);
        }

        IReadOnlyList<KeptSnapshot> snapshots = await PersistentSnapshots.CreateAsync(volumes, keep with { Writers = _writers }, host.Clock, cancellationToken);
        Name(snapshots);
        if (_writers is { } asked && _metadata is { } file)
        {
            await WriteMetadataAsync(line, file, await asked.SettleAsync(cancellationToken), cancellationToken);
        }

        if (!_isBackup)
        {
            await EndBackupAsync(cancellationToken);
        }

        _volumes.Clear();
    }

    /// <summary>Applications that must take part are there and can be held, or nothing is taken.</summary>
    private async Task DemandWritersAsync(int line, WriterCoordination writers, CancellationToken cancellationToken)
    {
        IReadOnlyList<WriterReport> found = _demanded.Count == 0 ? [] : await writers.IdentifyAsync(cancellationToken);
        foreach (string name in _demanded)
        {
            WriterReport? report = found.FirstOrDefault(one => one.Identity.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
            if (report?.Metadata is not { CannotHold: null })
            {
                throw ScriptErrors.Failed(line, $"the writer {name} must take part and does not: {report?.Metadata?.CannotHold ?? report?.Message ?? "it was not found"}", "see `quench writers status`");
            }
        }
    }

    private void Name(IReadOnlyList<KeptSnapshot> snapshots)
    {
        _names.Set("VSS_SHADOW_SET", snapshots[0].Set!.Id.ToString("B"));
        for (int index = 0; index < snapshots.Count; index++)
        {
            (AttachedVolume volume, string? alias) = _volumes[index];
            string id = snapshots[index].Id.ToString("B");
            _names.Set(string.Create(CultureInfo.InvariantCulture, $"VSS_SHADOW_{index + 1}"), id);
            if (alias is not null)
            {
                _names.Set(alias, id);
            }

            if (!_context.IsPersistent)
            {
                _volatile.Add(new ShadowCopy(volume, snapshots[index]));
            }

            host.Output.WriteLine($"{(alias is null ? "" : $"{alias}: ")}shadow copy {id} of {volume.Name}, {GradeText.Of(snapshots[index].Grade)} grade");
        }

        if (_isVerbose)
        {
            SnapshotTaking.WriteGrades(host, snapshots);
        }
    }

    private async Task EndBackupAsync(CancellationToken cancellationToken)
    {
        await SnapshotTaking.TellWritersAsync(host, _writers, cancellationToken);
        await LetGoOfWritersAsync();
        _isBackup = false;
    }

    private async Task LetGoOfWritersAsync()
    {
        if (_writers is { } writers)
        {
            _writers = null;
            await writers.DisposeAsync();
        }
    }

    private static async Task WriteMetadataAsync(int line, string file, IReadOnlyList<WriterReport> reports, CancellationToken cancellationToken)
    {
        try
        {
            await File.WriteAllTextAsync(file, WriterMetadataDocument.Write(reports), cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw ScriptErrors.Failed(line, $"the writers' metadata can't be written to {file}: {failure.Message}", "name another file with set metadata");
        }
    }

    private async Task ExecuteAsync(Execute wish, CancellationToken cancellationToken)
    {
        string program = TrustedPath.DemandProgram(_names.Expand(wish.Line, wish.Program));
        string[] arguments = [.. wish.Arguments.Select(word => _names.Expand(wish.Line, word))];
        NamedProgramEnd end = await NamedProgram.RunAsync(program, arguments, _names.Values, execLimit, host.Clock, cancellationToken);
        host.Output.Write(end.Output);
        if (end.Problem is { } problem)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw ScriptErrors.Failed(wish.Line, $"{program} {problem}", "run it by hand to see why, then run the script again");
        }
    }

    private async Task ListAsync(ListThings wish, CancellationToken cancellationToken)
    {
        switch (wish.Kind)
        {
            case "providers":
                ProvidersCommand.WriteVssAdmin(host.Output);
                break;
            case "shadows":
                IReadOnlyList<ShadowCopy> copies = wish.Id is { } id ? ShadowCopies.Find(_names.Expand(wish.Line, id)) : ShadowCopies.All(measured: false);
                VssAdminText.WriteShadows(host.Output, host.MachineName, copies);
                break;
            default:
                await using (WriterCoordination writers = coordinate(MountedFileSystems.All(), _excluded))
                {
                    WritersCommand.WriteVssAdmin(host.Output, await writers.IdentifyAsync(cancellationToken));
                }

                break;
        }
    }

    private async Task ResetAsync()
    {
        await LetGoOfWritersAsync();
        _volumes.Clear();
        _excluded.Clear();
        _demanded.Clear();
        _names.Clear();
        (_metadata, _isBackup, _isVerbose) = (null, false, false);
        _context = new SetContext(0, IsPersistent: false, HoldsWriters: true);
    }

    private void Delete(DeleteCopies wish)
    {
        string what = _names.Expand(wish.Line, wish.What);
        IReadOnlyList<ShadowCopy> chosen = ShadowDeleteCommand.Choose(
            wish.Kind is "id" or "set" ? what : null, wish.Kind == "volume" ? what : null, wish.Kind == "oldest" ? what : null);
        foreach (ShadowCopy copy in chosen)
        {
            if (_mounts.LetGo(copy) is [var busy, ..])
            {
                throw ScriptErrors.Failed(wish.Line, $"the copy {copy.Snapshot.Id:B} is mounted at {busy}, which is in use", "end what works in it");
            }

            PersistentSnapshots.Delete(copy.Volume, copy.Snapshot.Number);
            _volatile.RemoveAll(one => one.Snapshot.Id == copy.Snapshot.Id);
        }

        host.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{chosen.Count} shadow copies deleted"));
    }

    private static ShadowCopy One(int line, string id) => ShadowCopies.Find(id) is [var only] ? only : throw ScriptErrors.Failed(line, $"{id} is a set, and one shadow copy is wanted");

    /// <summary>At the end nobody is there to be told but the user; what can't be deleted is named.</summary>
    private void TryDelete(ShadowCopy copy)
    {
        try
        {
            IReadOnlyList<string> busy = _mounts.LetGo(copy);
            if (busy.Count == 0)
            {
                PersistentSnapshots.Delete(copy.Volume, copy.Snapshot.Number);
                return;
            }

            host.Error.WriteLine($"WARNING SNAP-167: the volatile shadow copy {copy.Snapshot.Id:B} of {copy.Volume.Name} is in use at {busy[0]} and stays: unmount it, then `quench shadow delete {copy.Snapshot.Id:D}`");
        }
        catch (QuenchException failure)
        {
            host.Error.WriteLine($"WARNING {failure.Code}: the volatile shadow copy {copy.Snapshot.Id:B} of {copy.Volume.Name} could not be deleted: {failure.Message}");
        }
    }
}
