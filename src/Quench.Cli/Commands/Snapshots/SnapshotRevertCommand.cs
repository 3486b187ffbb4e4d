using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot revert: takes a volume back to one of its snapshots.</summary>
internal sealed class SnapshotRevertCommand
{
    private readonly CliHost _host;
    private readonly Argument<string> _volume = SnapshotCommand.Volume();
    private readonly Argument<string> _snapshot = SnapshotCommand.Snapshot();
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Overwrite the volume without asking." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Print the plan, and do nothing." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private SnapshotRevertCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        SnapshotRevertCommand revert = new(host);
        Command command = new("revert", HelpText.Of("snapshot-revert")) { revert._volume, revert._snapshot, revert._yes, revert._dryRun, revert._json };
        command.Run(host, revert.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(_host, "overwrite a volume");
        AttachedVolume volume = SnapshotCommand.Find(parsed.GetValue(_volume)!);
        KeptSnapshot snapshot = PersistentSnapshots.Find(volume, parsed.GetValue(_snapshot)!);
        await using SnapshotRevert revert = await SnapshotRevert.PrepareAsync(volume, snapshot.Number, cancellationToken);
        string plan = $"{volume.Name} will be as it was {SnapshotText.Of(snapshot.Instant)}: {ByteSize.Format(revert.TotalBytes)} that changed since will be overwritten. Its snapshots stay.";
        _host.Error.WriteLine(plan);
        if (parsed.GetValue(_dryRun))
        {
            return ExitCodes.Done;
        }

        Consent.Demand(_host, parsed.GetValue(_yes), plan, $"overwrite what changed on {volume.Name}");
        await WriteAsync(revert, volume, parsed.GetValue(_json), cancellationToken);
        Tell(volume, snapshot, revert.TotalBytes, parsed.GetValue(_json));
        return ExitCodes.Done;
    }

    private async Task WriteAsync(SnapshotRevert revert, AttachedVolume volume, bool json, CancellationToken cancellationToken)
    {
        ActivityMonitor activity = new(_host.Clock);
        activity.Begin(JobPhase.Restoring, revert.TotalBytes);
        await using ProgressDisplay display = new(_host, activity, json);
        try
        {
            await revert.RunAsync(written => activity.Set(written, revert.TotalBytes), cancellationToken);
        }
        catch (OperationCanceledException failure) when (cancellationToken.IsCancellationRequested)
        {
            throw new QuenchException("CLI-130", "interrupted", "run it again: it goes on to the same end", failure)
            {
                Effect = $"{volume.Name} is neither as it was nor as the snapshot is: don't mount it",
                ExitCode = ExitCodes.Interrupted,
            };
        }
    }

    private void Tell(AttachedVolume volume, KeptSnapshot snapshot, long bytes, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "summary", writer =>
            {
                writer.WriteString("volume", volume.Name);
                writer.WriteNumber("number", snapshot.Number);
                writer.WriteNumber("written_bytes", bytes);
            });
            return;
        }

        _host.Error.WriteLine($"{volume.Name} is as it was in snapshot {snapshot.Number}: {ByteSize.Format(bytes)} written");
    }
}
