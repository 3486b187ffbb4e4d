using System.Globalization;
using System.Text.Json;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Documents;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>What a point says of the applications that were held for it.</summary>
internal static class WriterRecordText
{
    /// <summary>A line for each writer.</summary>
    public static IEnumerable<string> Words(CoordinationRecord? record)
    {
        foreach (WriterRecord writer in record?.Writers ?? [])
        {
            string name = writer.InstanceName.Length == 0 ? writer.Name : $"{writer.Name} ({writer.InstanceName})";
            string held = writer.HeldMilliseconds is { } milliseconds ? string.Create(CultureInfo.InvariantCulture, $", held {milliseconds:0.0} ms") : "";
            yield return writer.Consistent ? $"{name}: consistent{held}" : $"{name}: NOT consistent{held}; {Why(writer)}";
        }

        foreach (HookRecord hook in record?.Hooks ?? [])
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"{hook.Moment} {hook.Program}: {hook.Message ?? "exit code 0"} after {hook.Took:0} ms");
        }
    }

    /// <summary>The steps of a writer and its components.</summary>
    public static IEnumerable<string> Details(CoordinationRecord record, WriterRecord writer)
    {
        ILookup<string, FolderPlace> places = PlacesOf(record, writer);
        foreach (ComponentRecord component in writer.Components)
        {
            yield return $"component {component.Name}: {component.Grade}{(component.Whole ? "" : ", not all of it on these volumes")}";
            foreach (FolderPlace place in places[component.Name])
            {
                string offset = place.Offset == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", file system at byte {place.Offset}");
                yield return $"  {place.Folder}: {place.Path} in the image of {place.Volume}{offset}";
            }
        }

        foreach (WriterStepRecord step in writer.Steps)
        {
            string failed = step.Error == 0 ? "" : $", {WriterText.NameOf((WriterError)step.Error)} (0x{step.Error:x8}): {step.Message}";
            yield return string.Create(CultureInfo.InvariantCulture, $"{step.Event} at {step.Began:0.0} ms, took {step.Took:0.0} ms{failed}");
        }
    }

    /// <summary>All of it, as a field "coordination".</summary>
    public static void WriteJson(Utf8JsonWriter json, CoordinationRecord? record)
    {
        if (record is null)
        {
            json.WriteNull("coordination");
            return;
        }

        json.WriteStartObject("coordination");
        json.WriteString("set", record.Set.ToString("N"));
        json.WriteNumber("tries", record.Tries);
        json.WriteStartArray("writers");
        foreach (WriterRecord writer in record.Writers)
        {
            Write(json, record, writer);
        }

        json.WriteEndArray();
        json.WriteStartArray("commands");
        foreach (HookRecord hook in record.Hooks)
        {
            json.WriteStartObject();
            json.WriteString("moment", hook.Moment);
            json.WriteString("program", hook.Program);
            WriteOptional(json, "exit_code", hook.ExitCode);
            json.WriteNumber("ms", hook.Took);
            json.WriteString("problem", hook.Message);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Where the folders of a writer's components lie, by component. Points of older programs do not say.</summary>
    private static ILookup<string, FolderPlace> PlacesOf(CoordinationRecord record, WriterRecord writer) =>
        (record.ComponentsDocument.Length == 0 ? [] : BackupComponentsDocument.ReadComponents(record.ComponentsDocument))
            .Where(one => one.Instance == writer.Instance)
            .SelectMany(one => one.Component.Place.Folders.Select(place => (one.Component.Name, Place: place)))
            .ToLookup(one => one.Name, one => one.Place);

    private static void Write(Utf8JsonWriter json, CoordinationRecord record, WriterRecord writer)
    {
        ILookup<string, FolderPlace> places = PlacesOf(record, writer);
        json.WriteStartObject();
        json.WriteString("name", writer.Name);
        json.WriteString("instance", writer.InstanceName);
        json.WriteString("id", writer.Id.ToString("D"));
        json.WriteString("version", writer.Version);
        json.WriteNumber("state", writer.State);
        json.WriteNumber("error", writer.Error);
        json.WriteString("message", writer.Message);
        json.WriteBoolean("consistent", writer.Consistent);
        WriteOptional(json, "held_ms", writer.HeldMilliseconds);
        json.WriteStartArray("components");
        foreach (ComponentRecord component in writer.Components)
        {
            json.WriteStartObject();
            json.WriteString("name", component.Name);
            json.WriteString("grade", component.Grade);
            json.WriteBoolean("whole", component.Whole);
            json.WriteStartArray("places");
            foreach (FolderPlace place in places[component.Name])
            {
                json.WriteStartObject();
                json.WriteString("folder", place.Folder);
                json.WriteString("volume", place.Volume);
                json.WriteNumber("offset", place.Offset);
                json.WriteString("path", place.Path);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("steps");
        foreach (WriterStepRecord step in writer.Steps)
        {
            json.WriteStartObject();
            json.WriteString("event", step.Event);
            json.WriteNumber("began_ms", step.Began);
            json.WriteNumber("took_ms", step.Took);
            json.WriteNumber("error", step.Error);
            json.WriteString("message", step.Message);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static string Why(WriterRecord writer)
    {
        string step = WriterText.StepOf((WriterState)writer.State);
        return step.Length == 0
            ? writer.Message ?? "it was not asked"
            : $"failed at {step}, {WriterText.NameOf((WriterError)writer.Error)}: {writer.Message}";
    }

    private static void WriteOptional(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
