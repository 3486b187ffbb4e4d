using System.Text.Json;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>Recovery points as JSON.</summary>
internal static class PointJson
{
    /// <summary>Writes points as one array on one line.</summary>
    public static void WriteList(TextWriter output, IReadOnlyList<RecoveryPoint> points, VaultChecks checks) => JsonLine.Write(output, writer =>
    {
        writer.WriteStartArray();
        foreach (RecoveryPoint point in points)
        {
            Write(writer, point, checks);
        }

        writer.WriteEndArray();
    });

    /// <summary>Writes one point on one line.</summary>
    public static void WriteOne(TextWriter output, RecoveryPoint point, VaultChecks checks) =>
        JsonLine.Write(output, writer => Write(writer, point, checks));

    /// <summary>Writes a point's volumes as the field "volumes" of an object that has been begun.</summary>
    public static void WriteVolumes(Utf8JsonWriter writer, RecoveryPoint point)
    {
        writer.WriteStartArray("volumes");
        foreach (VolumeRecord volume in point.Volumes)
        {
            Write(writer, volume);
        }

        writer.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter writer, RecoveryPoint point, VaultChecks checks)
    {
        writer.WriteStartObject();
        writer.WriteString("point", point.Id.ToString("N"));
        writer.WriteString("host", point.Host);
        writer.WriteString("instant", point.Instant);
        writer.WriteString("written", point.Written);
        writer.WriteString("damage", point.Damage);
        writer.WriteStartArray("tags");
        foreach (string tag in point.Tags)
        {
            writer.WriteStringValue(tag);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("verified");
        foreach (PointCheck check in checks.Of(point))
        {
            writer.WriteStartObject();
            writer.WriteString("level", DamageText.NameOf(check.Level));
            writer.WriteString("at", check.At);
            writer.WriteBoolean("sound", check.IsSound);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        WriteVolumes(writer, point);
        WriterRecordText.WriteJson(writer, point.Coordination);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, VolumeRecord volume)
    {
        writer.WriteStartObject();
        writer.WriteString("name", volume.Name);
        writer.WriteString("source", volume.Source);
        writer.WriteNumber("length", volume.Length);
        writer.WriteString("file_system", volume.FileSystem);
        writer.WriteString("label", volume.Label);
        writer.WriteString("uuid", volume.Uuid);
        writer.WriteString("provider", volume.Provider);
        writer.WriteString("grade", volume.Grade);
        writer.WriteString("instant", volume.Instant);
        if (volume.FreezeMilliseconds is { } freeze)
        {
            writer.WriteNumber("freeze_ms", Math.Round(freeze, 3));
        }
        else
        {
            writer.WriteNull("freeze_ms");
        }

        writer.WriteNumber("used_bytes", volume.UsedBytes);
        writer.WriteNumber("new_bytes", volume.NewBytes);
        writer.WriteNumber("stored_bytes", volume.StoredBytes);
        writer.WriteNumber("diff_area_peak_bytes", volume.DiffAreaPeakBytes);
        writer.WriteString("map_doubt", volume.MapDoubt);
        writer.WriteString("proof", volume.Proof?.Hash);
        ScanText.WriteJson(writer, volume.Scan);
        DiskJson.Write(writer, volume.Disk);
        ExclusionText.WriteJson(writer, volume.Exclusions);
        writer.WriteEndObject();
    }
}
