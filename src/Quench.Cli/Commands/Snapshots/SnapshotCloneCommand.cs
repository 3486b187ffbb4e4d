using System.CommandLine;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Imaging.Recovery;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

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

    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Overwrite the target without asking." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private SnapshotCloneCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        SnapshotCloneCommand clone = new(host);
        Command command = new("clone", HelpText.Of("snapshot-clone")) { clone._volume, clone._snapshot, clone._target, clone._yes, clone._json };
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

        await using OpenSnapshot open = PersistentSnapshots.Open(volume, snapshot.Number);
        long written = await CopyAsync(open, snapshot.Grade, target, isNew, parsed.GetValue(_json), cancellationToken);
        Tell(volume, snapshot, target, written, parsed.GetValue(_json));
        return ExitCodes.Done;
    }

    private async Task<long> CopyAsync(OpenSnapshot open, SnapshotGrade grade, string target, bool isNew, bool json, CancellationToken cancellationToken)
    {
        bool isComplete = false;
        try
        {
            await using Disk disk = isNew
                ? ImageFile.CreateNew(target, open.Reader.Geometry.Length)
                : Disk.Open(target, DeviceAccess.ReadWrite, exclusive: true);
            ActivityMonitor activity = new(_host.Clock);
            await using ProgressDisplay display = new(_host, activity, json);
            long written = await SnapshotClone.CopyAsync(open, grade, disk, isBlank: isNew, activity, cancellationToken);
            isComplete = true;
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
