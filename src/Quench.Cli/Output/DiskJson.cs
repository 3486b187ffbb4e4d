using System.Text.Json;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>How a disk is divided, as JSON.</summary>
internal static class DiskJson
{
    /// <summary>Writes the property "disk": null of what is no disk.</summary>
    public static void Write(Utf8JsonWriter writer, DiskRecord? disk)
    {
        if (disk is null)
        {
            writer.WriteNull("disk");
            return;
        }

        writer.WriteStartObject("disk");
        writer.WriteString("scheme", disk.Scheme);
        writer.WriteString("id", disk.Id);
        writer.WriteNumber("sector_size", disk.SectorSize);
        writer.WriteStartArray("remarks");
        foreach (string remark in disk.Remarks)
        {
            writer.WriteStringValue(remark);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("partitions");
        foreach (PartitionRecord partition in disk.Partitions)
        {
            Write(writer, partition);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("gaps");
        foreach (GapRecord gap in disk.Gaps)
        {
            writer.WriteStartObject();
            writer.WriteNumber("offset", gap.Offset);
            writer.WriteNumber("length", gap.Length);
            writer.WriteNumber("used_bytes", gap.UsedBytes);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, PartitionRecord partition)
    {
        writer.WriteStartObject();
        writer.WriteNumber("number", partition.Number);
        writer.WriteNumber("offset", partition.Offset);
        writer.WriteNumber("length", partition.Length);
        writer.WriteString("type", partition.Type);
        writer.WriteString("type_name", partition.TypeName);
        writer.WriteString("name", partition.Name);
        writer.WriteString("id", partition.Id);
        writer.WriteBoolean("active", partition.Active);
        writer.WriteBoolean("logical", partition.Logical);
        writer.WriteString("file_system", partition.FileSystem);
        writer.WriteString("label", partition.Label);
        writer.WriteString("uuid", partition.Uuid);
        writer.WriteString("state", partition.State);
        writer.WriteString("condition", partition.Condition);
        writer.WriteNumber("used_bytes", partition.UsedBytes);
        writer.WriteString("map_doubt", partition.MapDoubt);
        writer.WriteEndObject();
    }
}
