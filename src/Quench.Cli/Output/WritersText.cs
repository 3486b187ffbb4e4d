using System.Text.Json;
using Quench.Blocks;
using Quench.Imaging.Activity.Writers;

namespace Quench.Cli.Output;

/// <summary>How a backup says who wrote to its volume meanwhile.</summary>
internal static class WritersText
{
    private const int Named = 5;

    /// <summary>One line.</summary>
    public static string Words(ActivitySummary summary)
    {
        IEnumerable<string> first = summary.Processes.Take(Named).Select(process => $"{ActivityText.NameOf(process)} {ByteSize.Format(process.Bytes)}");
        string more = summary.Processes.Count > Named ? $" and {summary.Processes.Count - Named} more" : "";
        string who = summary.Processes.Count == 0 ? "" : $"; written by {string.Join(", ", first)}{more}";
        string missing = summary.Losses.MayMissWrites ? " (writes are missing from this count)" : "";
        return $"meanwhile {ByteSize.Format(summary.DistinctBytes)} of the volume changed{missing}{who}";
    }

    /// <summary>Writes "who_wrote"; null when nobody asked.</summary>
    public static void WriteJson(Utf8JsonWriter writer, ActivitySummary? summary)
    {
        if (summary is null)
        {
            writer.WriteNull("who_wrote");
            return;
        }

        writer.WriteStartObject("who_wrote");
        writer.WriteNumber("changed_bytes", summary.DistinctBytes);
        writer.WriteNumber("writes", summary.Writes.Count);
        writer.WriteNumber("written_bytes", summary.Writes.Bytes);
        ActivityJson.WriteLosses(writer, summary.Losses);
        ActivityJson.WriteProcesses(writer, summary);
        writer.WriteEndObject();
    }
}
