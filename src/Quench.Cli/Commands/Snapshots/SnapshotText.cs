using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Capture;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>Persistent snapshots in words and in JSON.</summary>
internal static class SnapshotText
{
    /// <summary>An instant as people read it.</summary>
    public static string Of(DateTimeOffset instant) => instant.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    /// <summary>How full a store is and how fast it fills; the folder last.</summary>
    public static string Of(KeptSnapshotList list)
    {
        string growth = list.TimeToOverflow is { } left
            ? $", growing by {ByteSize.Format((long)list.BytesPerSecond)}/s: full in {ProgressText.Span(left)}"
            : "";
        return $"{ByteSize.Format(list.UsedBytes)} of {ByteSize.Format(list.CapBytes)} used{growth}; in {list.StoreFolder}";
    }

    /// <summary>What became of a snapshot, or where it can be looked at.</summary>
    public static string State(KeptSnapshot snapshot) => snapshot.Gone is { } gone ? "gone: " + gone : snapshot.Device ?? "";

    /// <summary>The properties of a snapshot, into an object that is open.</summary>
    public static void Write(Utf8JsonWriter writer, KeptSnapshot snapshot)
    {
        writer.WriteString("volume", snapshot.Volume);
        writer.WriteNumber("number", snapshot.Number);
        writer.WriteString("label", snapshot.Label);
        writer.WriteString("instant", snapshot.Instant);
        writer.WriteString("grade", GradeText.Of(snapshot.Grade));
        writer.WriteString("gone", snapshot.Gone);
        writer.WriteNumber("alone_bytes", snapshot.AloneBytes);
        writer.WriteNumber("shared_bytes", snapshot.SharedBytes);
        writer.WriteString("device", snapshot.Device);
        writer.WriteString("id", snapshot.Id.ToString("D"));
        if (snapshot.Set is not { } set)
        {
            writer.WriteNull("set");
            return;
        }

        writer.WriteString("set", set.Id.ToString("D"));
        writer.WriteBoolean("writers_asked", set.WereWritersAsked);
        writer.WriteStartArray("writers");
        foreach (KeptWriter kept in set.Writers)
        {
            writer.WriteStartObject();
            writer.WriteString("name", kept.Name);
            writer.WriteBoolean("consistent", kept.IsConsistent);
            writer.WriteString("message", kept.Message);
            writer.WriteStartArray("components");
            foreach (string component in kept.Components)
            {
                writer.WriteStringValue(component);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>The properties of a store, into an object that is open.</summary>
    public static void Write(Utf8JsonWriter writer, KeptSnapshotList list)
    {
        writer.WriteString("store", list.StoreFolder);
        writer.WriteNumber("used_bytes", list.UsedBytes);
        writer.WriteNumber("cap_bytes", list.CapBytes);
        writer.WriteNumber("bytes_per_second", Math.Round(list.BytesPerSecond));
        if (list.TimeToOverflow is { } left)
        {
            writer.WriteNumber("seconds_to_overflow", Math.Round(left.TotalSeconds));
        }
        else
        {
            writer.WriteNull("seconds_to_overflow");
        }
    }
}
