using System.CommandLine;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot unexpose: takes the device of an exposed snapshot away.</summary>
internal static class SnapshotUnexposeCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> volume = SnapshotCommand.Volume();
        Argument<string> snapshot = SnapshotCommand.Snapshot();
        Command command = new("unexpose", HelpText.Of("snapshot-unexpose")) { volume, snapshot };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "take a block device away");
            AttachedVolume attached = SnapshotCommand.Find(parsed.GetValue(volume)!);
            KeptSnapshot found = PersistentSnapshots.Find(attached, parsed.GetValue(snapshot)!);
            PersistentSnapshots.Unexpose(attached, found.Number);
            host.Error.WriteLine($"snapshot {found.Number} of {attached.Name} is not exposed any more");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
