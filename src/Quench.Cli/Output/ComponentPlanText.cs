using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Imaging.Recovery.Components;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;

namespace Quench.Cli.Output;

/// <summary>A restore of components in words and in JSON.</summary>
internal static class ComponentPlanText
{
    private const string Best = "application";

    /// <summary>Writes a plan.</summary>
    public static void Write(TextWriter output, ComponentRestorePlan plan, bool json)
    {
        if (json)
        {
            WriteJson(output, plan);
        }
        else
        {
            WriteWords(output, plan);
        }
    }

    /// <summary>Writes what came of it, as JSON.</summary>
    public static void WriteSummary(TextWriter output, ComponentRestorePlan plan, ComponentRestoreResult result) => JsonLine.WriteMessage(output, "summary", json =>
    {
        json.WriteString("point", plan.Point.Id.ToString("N"));
        json.WriteString("target", plan.Target);
        WriteNames(json, "components", plan.Components.Select(component => component.Name));
        json.WriteNumber("files", result.FileCount);
        json.WriteNumber("bytes", result.Bytes);
        json.WriteStartArray("kept");
        foreach ((string folder, string kept) in result.Kept)
        {
            json.WriteStartObject();
            json.WriteString("folder", folder);
            json.WriteString("path", kept);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteNames(json, "not_told", result.NotTold.Select(one => $"{one.Writer}: {one.Why}"));
    });

    private static void WriteWords(TextWriter output, ComponentRestorePlan plan)
    {
        string instant = plan.Instant.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
        output.WriteLine($"from   point {plan.Point.ShortId} of {plan.Point.Host}, as it was at {instant}");
        foreach (RestorableComponent component in plan.Components)
        {
            output.WriteLine($"what   {component.Name}, {component.Grade} grade{(component.Grade == Best ? "" : ": its application was not held, and recovers as after a power cut, if it can")}");
            if (component.Component.RestoreNote.Length > 0)
            {
                output.WriteLine($"       {component.Component.RestoreNote}");
            }
        }

        foreach (RestoreFolder folder in plan.Folders)
        {
            output.WriteLine($"to     {folder.Target.Path}: {folder.FileCount} files, {ByteSize.Format(folder.Bytes)}");
            if (folder.ReplacedCount > 0)
            {
                output.WriteLine($"       in the place of {folder.ReplacedCount} files, which are {(plan.DiscardsReplaced ? "removed at the end" : "kept beside")}");
            }
        }

        foreach (WriterDocument document in plan.NotPlaced)
        {
            output.WriteLine($"       the writer's {document.Name} for {document.Path} belongs to none of these folders and is not put there (quench show --documents)");
        }

        output.WriteLine(plan switch
        {
            { IsInPlace: false } => "stops  nobody",
            { Asked.Count: 0 } => "stops  nobody: no writer of it is here; whoever has its files open makes this fail",
            _ => $"stops  {string.Join(", ", plan.Asked)}: asked to make way, and told afterwards",
        });
    }

    private static void WriteJson(TextWriter output, ComponentRestorePlan plan) => JsonLine.WriteMessage(output, "plan", json =>
    {
        json.WriteString("point", plan.Point.Id.ToString("N"));
        json.WriteString("instant", plan.Instant.ToString("O", CultureInfo.InvariantCulture));
        json.WriteString("target", plan.Target);
        json.WriteBoolean("discard_replaced", plan.DiscardsReplaced);
        json.WriteStartArray("components");
        foreach (RestorableComponent component in plan.Components)
        {
            json.WriteStartObject();
            json.WriteString("name", component.Name);
            json.WriteString("instance", component.Writer.InstanceName);
            json.WriteString("grade", component.Grade);
            json.WriteString("note", component.Component.RestoreNote);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("folders");
        foreach (RestoreFolder folder in plan.Folders)
        {
            json.WriteStartObject();
            json.WriteString("folder", folder.Folder);
            json.WriteString("target", folder.Target.Path);
            json.WriteNumber("files", folder.FileCount);
            json.WriteNumber("bytes", folder.Bytes);
            json.WriteNumber("replaced_files", folder.ReplacedCount);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteNames(json, "asked", plan.Asked.Select(writer => writer.ToString()));
    });

    private static void WriteNames(Utf8JsonWriter json, string field, IEnumerable<string> names)
    {
        json.WriteStartArray(field);
        foreach (string name in names)
        {
            json.WriteStringValue(name);
        }

        json.WriteEndArray();
    }
}
