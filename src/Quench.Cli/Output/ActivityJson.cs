using System.Text.Json;
using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;

namespace Quench.Cli.Output;

/// <summary>What a watch comes to, for scripts: one line, complete, not cut to the first rows.</summary>
internal static class ActivityJson
{
    private const int Columns = 60;

    /// <summary>Writes it.</summary>
    public static void Write(TextWriter output, ActivitySummary summary) => JsonLine.WriteMessage(output, "summary", writer =>
    {
        writer.WriteString("device", summary.Session.Device);
        writer.WriteString("mount_point", summary.Session.MountPoint);
        writer.WriteString("file_system", summary.Session.FileSystem);
        writer.WriteNumber("length", summary.Session.Length);
        writer.WriteString("start", summary.Start);
        writer.WriteString("end", summary.End);
        writer.WriteNumber("watched_seconds", Math.Round(summary.Watched.TotalSeconds, 3));
        writer.WriteNumber("writes", summary.Writes.Count);
        writer.WriteNumber("written_bytes", summary.Writes.Bytes);
        writer.WriteNumber("changed_bytes", summary.DistinctBytes);
        writer.WriteNumber("file_count", summary.FileCount);
        WriteKinds(writer, summary);
        WriteLosses(writer, summary.Losses);
        WriteProcesses(writer, summary);
        WriteFiles(writer, summary);
        WriteTimes(writer, summary);
        WriteForecast(writer, summary);
    });

    /// <summary>A kind's name.</summary>
    public static string Name(WriteKind kind) => kind switch
    {
        WriteKind.Write => "write",
        WriteKind.Discard => "discard",
        WriteKind.Zero => "zero",
        WriteKind.Flush => "flush",
        _ => "other",
    };

    /// <summary>What shows who wrote.</summary>
    public static string Name(WriterEvidence evidence) => evidence switch
    {
        WriterEvidence.Sent => "sent",
        WriterEvidence.Pages => "pages",
        WriterEvidence.File => "file",
        _ => "none",
    };

    /// <summary>Writes what the data belongs to into an object that has been begun.</summary>
    public static void WriteFile(Utf8JsonWriter writer, WrittenFile file)
    {
        writer.WriteString("file_kind", file.Kind switch { WrittenKind.File => "file", WrittenKind.Metadata => "metadata", _ => "unknown" });
        writer.WriteString("path", file.Path);
        writer.WriteNumber("inode", file.Inode);
    }

    private static void WriteKinds(Utf8JsonWriter writer, ActivitySummary summary)
    {
        writer.WriteStartObject("kinds");
        foreach (KindSummary kind in summary.Kinds)
        {
            writer.WriteStartObject(Name(kind.Kind));
            writer.WriteNumber("count", kind.Count);
            writer.WriteNumber("bytes", kind.Bytes);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        writer.WriteStartObject("groups");
        foreach (ProcessGroup group in Enum.GetValues<ProcessGroup>())
        {
            (long writes, long bytes) = summary.Of(group);
            writer.WriteStartObject(Name(group));
            writer.WriteNumber("writes", writes);
            writer.WriteNumber("bytes", bytes);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    /// <summary>Writes what was missed into an object that has been begun.</summary>
    public static void WriteLosses(Utf8JsonWriter writer, WriteLosses losses)
    {
        writer.WriteStartObject("losses");
        writer.WriteNumber("missed_runs", losses.Missed);
        writer.WriteNumber("events", losses.Events);
        writer.WriteNumber("bytes", losses.Bytes);
        writer.WriteNumber("unread", losses.Unread);
        writer.WriteNumber("names", losses.Names);
        writer.WriteNumber("pages", losses.Pages);
        writer.WriteNumber("approximate_bytes", losses.ApproximateBytes);
        writer.WriteEndObject();
    }

    /// <summary>Writes who wrote into an object that has been begun.</summary>
    public static void WriteProcesses(Utf8JsonWriter writer, ActivitySummary summary)
    {
        writer.WriteStartArray("processes");
        foreach (ProcessSummary process in summary.Processes)
        {
            writer.WriteStartObject();
            writer.WriteString("name", process.Name);
            writer.WriteString("group", Name(process.Group));
            writer.WriteBoolean("kernel", process.IsKernel);
            writer.WriteNumber("processes", process.Processes);
            writer.WriteNumber("writes", process.Writes);
            writer.WriteNumber("bytes", process.Bytes);
            writer.WriteNumber("files", process.Files);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteFiles(Utf8JsonWriter writer, ActivitySummary summary)
    {
        writer.WriteStartArray("files");
        foreach (FileSummary file in summary.Files)
        {
            writer.WriteStartObject();
            WriteFile(writer, file.File);
            writer.WriteNumber("writes", file.Writes);
            writer.WriteNumber("bytes", file.Bytes);
            writer.WriteStartArray("processes");
            foreach (string name in file.Processes)
            {
                writer.WriteStringValue(name);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteTimes(Utf8JsonWriter writer, ActivitySummary summary)
    {
        WriteBusyTime(writer, "quietest", summary.Quietest);
        WriteBusyTime(writer, "busiest", summary.Busiest);
        writer.WriteStartArray("hours");
        foreach (HourSummary hour in summary.Hours)
        {
            writer.WriteStartObject();
            writer.WriteNumber("hour", hour.Hour);
            writer.WriteNumber("watched_seconds", hour.Watched.TotalSeconds);
            writer.WriteNumber("writes", hour.Writes);
            writer.WriteNumber("bytes", hour.Bytes);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("timeline");
        foreach (TimelineColumn column in summary.Timeline.Cut(Columns))
        {
            writer.WriteStartObject();
            writer.WriteBoolean("watched", column.IsWatched);
            writer.WriteNumber("writes", column.Writes);
            writer.WriteNumber("system_bytes", column.SystemBytes);
            writer.WriteNumber("application_bytes", column.OtherBytes);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteBusyTime(Utf8JsonWriter writer, string name, BusyTime? time)
    {
        if (time is null)
        {
            writer.WriteNull(name);
            return;
        }

        writer.WriteStartObject(name);
        writer.WriteString("start", time.Start);
        writer.WriteNumber("seconds", time.Length.TotalSeconds);
        writer.WriteNumber("writes", time.Writes);
        writer.WriteNumber("bytes", time.Bytes);
        writer.WriteEndObject();
    }

    private static void WriteForecast(Utf8JsonWriter writer, ActivitySummary summary)
    {
        writer.WriteStartArray("diff_area");
        foreach (DiffAreaForecast area in summary.DiffAreas)
        {
            writer.WriteStartObject();
            writer.WriteNumber("backup_seconds", area.Length.TotalSeconds);
            writer.WriteNumber("median_bytes", area.Median);
            writer.WriteNumber("most_bytes", area.Most);
            writer.WriteBoolean("extrapolated", area.IsExtrapolated);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartObject("freeze");
        WriteMilliseconds(writer, "median_ms", summary.Freeze.Median);
        WriteMilliseconds(writer, "most_ms", summary.Freeze.Most);
        writer.WriteEndObject();
    }

    private static void WriteMilliseconds(Utf8JsonWriter writer, string name, TimeSpan? time)
    {
        if (time is { } known)
        {
            writer.WriteNumber(name, Math.Round(known.TotalMilliseconds, 1));
        }
        else
        {
            writer.WriteNull(name);
        }
    }

    private static string Name(ProcessGroup group) => group switch
    {
        ProcessGroup.System => "system",
        ProcessGroup.Application => "application",
        ProcessGroup.Watch => "watch",
        _ => "unknown",
    };
}
