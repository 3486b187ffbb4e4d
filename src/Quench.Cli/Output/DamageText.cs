using System.Text.Json;
using Quench.Blocks;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>Damage as people and scripts read it.</summary>
internal static class DamageText
{
    /// <summary>One line.</summary>
    public static string Describe(VaultDamage damage)
    {
        string point = damage.Point is { } id ? $", point {id.ToString("N")[..8]}" : "";
        string volume = damage.Volume is { } name ? $", volume {name}" : "";
        string range = damage.Range is { } extent ? $", bytes {extent}" : "";
        return damage.What + point + volume + range;
    }

    /// <summary>An array of objects.</summary>
    public static void WriteJson(Utf8JsonWriter writer, string property, IReadOnlyList<VaultDamage> all)
    {
        writer.WriteStartArray(property);
        foreach (VaultDamage damage in all)
        {
            writer.WriteStartObject();
            writer.WriteString("what", damage.What);
            writer.WriteString("point", damage.Point?.ToString("N"));
            writer.WriteString("volume", damage.Volume);
            writer.WriteString("range", damage.Range?.ToString());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>The hurt volumes with their ranges, in bytes.</summary>
    public static void WriteHurt(Utf8JsonWriter writer, IReadOnlyList<HurtVolume> all)
    {
        writer.WriteStartArray("hurt");
        foreach (HurtVolume hurt in all)
        {
            writer.WriteStartObject();
            writer.WriteString("point", hurt.Point.ToString("N"));
            writer.WriteString("volume", hurt.Volume);
            writer.WriteStartArray("ranges");
            foreach (Extent range in hurt.Ranges)
            {
                writer.WriteStartObject();
                writer.WriteNumber("offset", range.Offset);
                writer.WriteNumber("length", range.Length);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>A level as it is written on the command line.</summary>
    public static string NameOf(VerifyLevel level) => level switch
    {
        VerifyLevel.Listed => "listed",
        VerifyLevel.Structure => "structure",
        VerifyLevel.Data => "data",
        _ => "restored",
    };
}
