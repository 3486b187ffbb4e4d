using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Snapshots.Store.Clones;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>quench snapshot clones: the full copies that are being made in the background, and those that ended lately.</summary>
internal static class SnapshotClonesCommand
{
    public static Command Make(CliHost host)
    {
        Option<string?> cancel = new("--cancel") { Description = "End this clone. A new target file is taken away; a device stays half written.", HelpName = "ID" };
        Option<bool> json = CommonOptions.Json();
        Command command = new("clones", HelpText.Of("snapshot-clones")) { cancel, json };
        command.Run(host, (parsed, _) =>
        {
            Privilege.Demand(host, "see what is copied of snapshots");
            if (parsed.GetValue(cancel) is { } id)
            {
                BackgroundClones.Cancel(id);
                host.Error.WriteLine($"clone {id} was told to end");
            }
            else if (parsed.GetValue(json))
            {
                WriteJson(host.Output);
            }
            else
            {
                WriteTable(host);
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void WriteTable(CliHost host)
    {
        IReadOnlyList<BackgroundClone> clones = BackgroundClones.List();
        if (clones.Count == 0)
        {
            host.Error.WriteLine("no snapshot is being copied in the background");
            return;
        }

        TextTable table = new("CLONE", "VOLUME", "SNAPSHOT", "BEGAN", "TARGET", "STATE");
        foreach (BackgroundClone clone in clones)
        {
            table.Add(
                clone.Id, clone.Job.Volume, clone.Job.Snapshot.ToString(CultureInfo.InvariantCulture), SnapshotText.Of(clone.Job.Began), clone.Job.Target, State(clone));
        }

        table.WriteTo(host.Output);
    }

    private static string State(BackgroundClone clone) => clone.State switch
    {
        CloneState.Done => $"done: {ByteSize.Format(clone.Outcome!.WrittenBytes)} written",
        CloneState.Failed => "failed: " + clone.Outcome!.Failure,
        CloneState.Dead => "its process died: the target is no copy",
        CloneState.Copying when clone.BytesTotal == 0 => "reading what is in use",
        _ => $"{ByteSize.Format(clone.BytesDone)} of {ByteSize.Format(clone.BytesTotal)}",
    };

    private static void WriteJson(TextWriter output) => JsonLine.Write(output, writer =>
    {
        writer.WriteStartArray();
        foreach (BackgroundClone clone in BackgroundClones.List())
        {
            writer.WriteStartObject();
            Write(writer, clone);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    private static void Write(Utf8JsonWriter writer, BackgroundClone clone)
    {
        writer.WriteString("id", clone.Id);
        writer.WriteString("volume", clone.Job.Volume);
        writer.WriteNumber("snapshot", clone.Job.Snapshot);
        writer.WriteString("target", clone.Job.Target);
        writer.WriteNumber("process", clone.Job.Process);
        writer.WriteString("began", clone.Job.Began);
        writer.WriteString("state", clone.State switch
        {
            CloneState.Copying => "copying",
            CloneState.Done => "done",
            CloneState.Failed => "failed",
            _ => "dead",
        });
        writer.WriteNumber("bytes_done", clone.BytesDone);
        writer.WriteNumber("bytes_total", clone.BytesTotal);
        if (clone.Outcome is { } outcome)
        {
            writer.WriteString("ended", outcome.Ended);
            writer.WriteNumber("written_bytes", outcome.WrittenBytes);
            writer.WriteString("failure", outcome.Failure);
        }
    }
}
