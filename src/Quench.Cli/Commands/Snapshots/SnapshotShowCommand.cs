using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Capture;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot show: all that is known of one snapshot.</summary>
internal static class SnapshotShowCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> volume = SnapshotCommand.Volume();
        Argument<string> snapshot = SnapshotCommand.Snapshot();
        Option<bool> json = CommonOptions.Json();
        Command command = new("show", HelpText.Of("snapshot-show")) { volume, snapshot, json };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "ask an attached volume for its snapshots");
            AttachedVolume attached = SnapshotCommand.Find(parsed.GetValue(volume)!);
            uint number = PersistentSnapshots.Find(attached, parsed.GetValue(snapshot)!).Number;
            KeptSnapshotList list = PersistentSnapshots.List(attached, measured: true);
            Write(host, list.Snapshots.First(found => found.Number == number), list, parsed.GetValue(json));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Write(CliHost host, KeptSnapshot snapshot, KeptSnapshotList list, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(host.Output, "snapshot", writer =>
            {
                SnapshotText.Write(writer, snapshot);
                SnapshotText.Write(writer, list);
            });
            return;
        }

        TextTable table = new("SNAPSHOT", snapshot.Number.ToString(CultureInfo.InvariantCulture));
        table.Add("volume", snapshot.Volume);
        table.Add("label", snapshot.Label);
        table.Add("instant", SnapshotText.Of(snapshot.Instant));
        table.Add("grade", GradeText.Of(snapshot.Grade));
        foreach (KeptWriter writer in snapshot.Set?.Writers ?? [])
        {
            table.Add("writer", writer.IsConsistent ? $"{writer.Name} held: {string.Join(", ", writer.Components)}" : $"{writer.Name} did not hold: {writer.Message}");
        }

        table.Add("id", snapshot.Id.ToString("D"));
        table.Add("set", snapshot.Set?.Id.ToString("D") ?? "");
        table.Add("held alone", ByteSize.Format(snapshot.AloneBytes));
        table.Add("shared", ByteSize.Format(snapshot.SharedBytes));
        table.Add("exposed as", snapshot.Device ?? "");
        table.Add("state", snapshot.Gone is { } gone ? "gone: " + gone : "can be read");
        table.Add("store", list.StoreFolder is null ? "" : SnapshotText.Of(list));
        table.WriteTo(host.Output);
    }
}
