using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Capture;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot list: the snapshots of one volume or of all, and how their stores fill.</summary>
internal static class SnapshotListCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string?> volume = new("VOLUME") { Description = "An attached volume; all of them when not given.", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> json = CommonOptions.Json();
        Command command = new("list", HelpText.Of("snapshot-list")) { volume, json };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "ask an attached volume for its snapshots");
            IReadOnlyList<AttachedVolume> volumes = parsed.GetValue(volume) is { } one
                ? [SnapshotCommand.Find(one)]
                : [.. FilterVolumes.List().Where(attached => attached.State == AttachmentState.Serving)];
            (AttachedVolume Volume, KeptSnapshotList List)[] lists = [.. volumes.Select(attached => (attached, PersistentSnapshots.List(attached, measured: true)))];
            if (parsed.GetValue(json))
            {
                WriteJson(host.Output, lists);
            }
            else
            {
                WriteTable(host, lists);
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void WriteTable(CliHost host, (AttachedVolume Volume, KeptSnapshotList List)[] lists)
    {
        KeptSnapshot[] all = [.. lists.SelectMany(entry => entry.List.Snapshots)];
        if (all.Length == 0)
        {
            host.Error.WriteLine("there are no snapshots");
            return;
        }

        TextTable table = new("VOLUME", "SNAPSHOT", "INSTANT", "GRADE", "LABEL", "ALONE", "SHARED", "DEVICE");
        foreach (KeptSnapshot snapshot in all)
        {
            table.Add(
                snapshot.Volume, snapshot.Number.ToString(CultureInfo.InvariantCulture), SnapshotText.Of(snapshot.Instant), GradeText.Of(snapshot.Grade), snapshot.Label,
                ByteSize.Format(snapshot.AloneBytes), ByteSize.Format(snapshot.SharedBytes), SnapshotText.State(snapshot));
        }

        table.WriteTo(host.Output);
        foreach ((AttachedVolume volume, KeptSnapshotList list) in lists.Where(entry => entry.List.StoreFolder is not null))
        {
            host.Error.WriteLine($"{volume.Name}: {SnapshotText.Of(list)}");
        }
    }

    private static void WriteJson(TextWriter output, (AttachedVolume Volume, KeptSnapshotList List)[] lists) => JsonLine.Write(output, writer =>
    {
        writer.WriteStartArray();
        foreach ((AttachedVolume volume, KeptSnapshotList list) in lists)
        {
            writer.WriteStartObject();
            writer.WriteString("volume", volume.Name);
            SnapshotText.Write(writer, list);
            writer.WriteStartArray("snapshots");
            foreach (KeptSnapshot snapshot in list.Snapshots)
            {
                writer.WriteStartObject();
                SnapshotText.Write(writer, snapshot);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
