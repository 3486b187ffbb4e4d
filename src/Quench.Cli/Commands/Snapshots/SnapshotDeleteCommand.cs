using System.CommandLine;
using Quench.Blocks;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;
using Quench.Snapshots.Store.Clones;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot delete: lets go of a snapshot for good.</summary>
internal static class SnapshotDeleteCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> volume = SnapshotCommand.Volume();
        Argument<string> snapshot = SnapshotCommand.Snapshot();
        Option<bool> yes = new("--yes", "-y") { Description = "Delete it without asking." };
        Command command = new("delete", HelpText.Of("snapshot-delete")) { volume, snapshot, yes };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "delete a snapshot");
            AttachedVolume attached = SnapshotCommand.Find(parsed.GetValue(volume)!);
            uint number = PersistentSnapshots.Find(attached, parsed.GetValue(snapshot)!).Number;
            KeptSnapshot found = PersistentSnapshots.List(attached, measured: true).Snapshots.First(listed => listed.Number == number);
            if (found.Gone is null)
            {
                string plan = $"Snapshot {found.Number} of {attached.Name}, taken {SnapshotText.Of(found.Instant)}, will be deleted; that frees {ByteSize.Format(found.AloneBytes)}.{Copies(found)}";
                host.Error.WriteLine(plan);
                Consent.Demand(host, parsed.GetValue(yes), plan, $"delete snapshot {found.Number} of {attached.Name}");
            }

            PersistentSnapshots.Delete(attached, found.Number);
            host.Error.WriteLine($"deleted snapshot {found.Number} of {attached.Name}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static string Copies(KeptSnapshot snapshot) => string.Concat(BackgroundClones.List()
        .Where(clone => clone.State == CloneState.Copying && clone.Job.Volume == snapshot.Volume && clone.Job.Snapshot == snapshot.Number)
        .Select(clone => $" Its copy to {clone.Job.Target} is not done and will end."));
}
