using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Imaging.Recovery;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;
using Quench.Snapshots.Store.Clones;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot clone: a full copy of a snapshot, independent of volume and store from then on.</summary>
internal sealed class SnapshotCloneCommand
{
    private readonly CliHost _host;
    private readonly Argument<string> _volume = SnapshotCommand.Volume();
    private readonly Argument<string> _snapshot = SnapshotCommand.Snapshot();
    private readonly Argument<string> _target = new("TARGET")
    {
        Description = "A block device or an image file; a path that does not exist becomes a sparse file of the volume's size.",
    };

    private readonly Option<bool> _background = new("--background", "-b") { Description = "Copy in a process of its own, and return at once." };
    private readonly Option<bool> _delete = new("--delete-snapshot") { Description = "Delete the snapshot when the copy is whole and durable." };
    private readonly Option<string?> _job = new("--job") { Hidden = true };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Overwrite the target without asking." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private SnapshotCloneCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        SnapshotCloneCommand clone = new(host);
        Command command = new("clone", HelpText.Of("snapshot-clone"))
        {
            clone._volume, clone._snapshot, clone._target, clone._background, clone._delete, clone._job, clone._yes, clone._json,
        };
        command.Run(host, clone.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "read a snapshot of an attached volume");
        AttachedVolume volume = SnapshotCommand.Find(parsed.GetValue(_volume)!);
        KeptSnapshot snapshot = PersistentSnapshots.Find(volume, parsed.GetValue(_snapshot)!);
        string target = Path.GetFullPath(parsed.GetValue(_target)!);
        bool isNew = !Path.Exists(target);
        if (!isNew)
        {
            string plan = $"Everything on {target} will be lost.";
            _host.Error.WriteLine(plan);
            Consent.Demand(_host, parsed.GetValue(_yes), plan, $"overwrite {target}");
        }

        if (parsed.GetValue(_background))
        {
            return await StartAsync(volume, snapshot, target, parsed, cancellationToken);
        }

        long written = await CopyAsync(volume, snapshot, target, isNew, parsed, cancellationToken);
        if (parsed.GetValue(_job) is null)
        {
            Tell(volume, snapshot, target, written, parsed.GetValue(_json));
        }

        return ExitCodes.Done;
    }

    /// <summary>Has another process do it: the same command, told to report instead of to show.</summary>
    private async Task<int> StartAsync(AttachedVolume volume, KeptSnapshot snapshot, string target, ParseResult parsed, CancellationToken cancellationToken)
    {
        string number = snapshot.Number.ToString(CultureInfo.InvariantCulture);
        (string id, string? refusal, int exitCode) = await BackgroundClones.StartAsync(
            id => ["snapshot", "clone", volume.Name, number, target, "--yes", "--job", id, .. parsed.GetValue(_delete) ? ["--delete-snapshot"] : Array.Empty<string>()],
            _host.Clock,
            cancellationToken);
        if (refusal is not null)
        {
            _host.Error.WriteLine(refusal);
            return exitCode;
        }

        if (parsed.GetValue(_json))
        {
            JsonLine.WriteMessage(_host.Output, "started", writer => writer.WriteString("id", id));
        }

        _host.Error.WriteLine($"snapshot {number} of {volume.Name} is being copied to {target} as clone {id}; `quench snapshot clones` says how far it is");
        return ExitCodes.Done;
    }

    private async Task<long> CopyAsync(AttachedVolume volume, KeptSnapshot snapshot, string target, bool isNew, ParseResult parsed, CancellationToken cancellationToken)
    {
        bool isComplete = false;
        await using OpenSnapshot open = PersistentSnapshots.Open(volume, snapshot.Number);
        try
        {
            await using Disk disk = isNew
                ? ImageFile.CreateNew(target, open.Reader.Geometry.Length)
                : Disk.Open(target, DeviceAccess.ReadWrite, exclusive: true);
            SnapshotClone.DemandRoom(disk, open.Reader.Geometry.Length);
            using CloneReporter? reporter = parsed.GetValue(_job) is { } job ? Report(job, volume, snapshot, target) : null;
            long written;
            try
            {
                written = await CopyAsync(open, snapshot, disk, isNew, reporter, parsed.GetValue(_json), cancellationToken);
                isComplete = true;
                if (parsed.GetValue(_delete))
                {
                    PersistentSnapshots.Delete(volume, snapshot.Number);
                }
            }
            catch (Exception failure) when (failure is QuenchException or OperationCanceledException)
            {
                string reason = isComplete ? $"the copy is whole, but its snapshot could not be deleted: {failure.Message}" : cancellationToken.IsCancellationRequested ? "cancelled" : failure.Message;
                reporter?.End(new CloneOutcome { Ended = _host.Clock.GetUtcNow(), Failure = reason });
                throw;
            }

            reporter?.End(new CloneOutcome { Ended = _host.Clock.GetUtcNow(), WrittenBytes = written });
            return written;
        }
        catch (OperationCanceledException failure) when (cancellationToken.IsCancellationRequested)
        {
            throw new QuenchException("CLI-130", "interrupted", cause: failure)
            {
                Effect = isNew ? "the unfinished file was removed" : $"{target} is half written: don't use it",
                ExitCode = ExitCodes.Interrupted,
            };
        }
        finally
        {
            if (isNew && !isComplete)
            {
                File.Delete(target);
            }
        }
    }

    private CloneReporter Report(string job, AttachedVolume volume, KeptSnapshot snapshot, string target) => CloneReporter.Begin(
        job,
        new CloneJob { Process = Environment.ProcessId, Volume = volume.Name, Snapshot = snapshot.Number, Target = target, Began = _host.Clock.GetUtcNow() },
        _host.Output);

    private async Task<long> CopyAsync(OpenSnapshot open, KeptSnapshot snapshot, Disk disk, bool isNew, CloneReporter? reporter, bool json, CancellationToken cancellationToken)
    {
        ActivityMonitor activity = new(_host.Clock);
        await using ProgressDisplay display = reporter is null
            ? new ProgressDisplay(_host, activity, json)
            : new ProgressDisplay(_host, activity, progress => reporter.Tell(progress.BytesDone, progress.BytesTotal));
        return await SnapshotClone.CopyAsync(open, snapshot.Grade, disk, isBlank: isNew, activity, cancellationToken);
    }

    private void Tell(AttachedVolume volume, KeptSnapshot snapshot, string target, long written, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "summary", writer =>
            {
                writer.WriteString("volume", volume.Name);
                writer.WriteNumber("number", snapshot.Number);
                writer.WriteString("target", target);
                writer.WriteNumber("written_bytes", written);
            });
            return;
        }

        _host.Error.WriteLine($"{target} is a full copy of snapshot {snapshot.Number} of {volume.Name}: {ByteSize.Format(written)} written");
    }
}
