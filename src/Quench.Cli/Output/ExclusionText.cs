using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>What was left out of an image, for people and for scripts.</summary>
internal static class ExclusionText
{
    private const int MostNamed = 20; // in words; scripts get all that the point names

    /// <summary>One line; null when nothing was left out.</summary>
    public static string? Words(ExclusionRecord? left) => left is not { Files: > 0 }
        ? null
        : $"left out {Count(left.Files)}, {ByteSize.Format(left.Bytes)} ({string.Join("; ", left.Rules.Where(rule => rule.Files > 0).Select(Words))})";

    /// <summary>What a restore makes of it, in one line; null when nothing was left out.</summary>
    public static string? Warning(ExclusionRecord? left) => left is not { Files: > 0 }
        ? null
        : $"{Count(left.Files)}, {ByteSize.Format(left.Bytes)}, {(left.Files == 1 ? "was" : "were")} left out of the image and will read as zeros: {string.Join("; ", left.Rules.Where(rule => rule.Files > 0).Select(Words))}";

    /// <summary>All of it, in lines.</summary>
    public static IEnumerable<string> Details(ExclusionRecord left)
    {
        foreach (ExclusionRuleRecord rule in left.Rules)
        {
            yield return $"{Words(rule)}: {(rule.Files == 0 ? "met nothing" : $"{Count(rule.Files)}, {ByteSize.Format(rule.Bytes)}")}{(rule.KeptHead > 0 ? $", but for their first {ByteSize.Format(rule.KeptHead)}" : "")}";
            foreach (ExcludedFileRecord file in rule.Names.Take(MostNamed))
            {
                yield return $"  {Printable(Place(file))}  {ByteSize.Format(file.Bytes)}";
            }

            if (rule.Files > Math.Min(MostNamed, rule.Names.Count))
            {
                yield return string.Create(CultureInfo.InvariantCulture, $"  and {rule.Files - Math.Min(MostNamed, rule.Names.Count)} more");
            }
        }

        foreach (string sentence in left.Kept)
        {
            yield return $"kept: {Printable(sentence)}";
        }
    }

    /// <summary>What of it lies on one partition; all of it where not all files are named, since nothing tells then.</summary>
    public static ExclusionRecord? OfPartition(ExclusionRecord? left, int partition)
    {
        if (left is null || left.Rules.Any(rule => rule.Files > rule.Names.Count))
        {
            return left;
        }

        ExclusionRuleRecord[] rules = [.. left.Rules.Select(rule => rule with { Names = [.. rule.Names.Where(file => file.Partition == partition)] })
            .Select(rule => rule with { Files = rule.Names.Count, Bytes = rule.Names.Sum(file => file.Bytes) })];
        return left with { Rules = rules, Files = rules.Sum(rule => rule.Files), Bytes = rules.Sum(rule => rule.Bytes) };
    }

    /// <summary>Writes the field "exclusions" into an object that has been begun.</summary>
    public static void WriteJson(Utf8JsonWriter writer, ExclusionRecord? left)
    {
        if (left is null)
        {
            writer.WriteNull("exclusions");
            return;
        }

        writer.WriteStartObject("exclusions");
        writer.WriteNumber("files", left.Files);
        writer.WriteNumber("bytes", left.Bytes);
        writer.WriteStartArray("rules");
        foreach (ExclusionRuleRecord rule in left.Rules)
        {
            WriteJson(writer, rule);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("kept");
        foreach (string sentence in left.Kept)
        {
            writer.WriteStringValue(sentence);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteJson(Utf8JsonWriter writer, ExclusionRuleRecord rule)
    {
        writer.WriteStartObject();
        writer.WriteString("pattern", rule.Pattern);
        writer.WriteString("origin", rule.Origin);
        writer.WriteNumber("kept_head", rule.KeptHead);
        writer.WriteNumber("files", rule.Files);
        writer.WriteNumber("bytes", rule.Bytes);
        writer.WriteStartArray("names");
        foreach (ExcludedFileRecord file in rule.Names)
        {
            writer.WriteStartObject();
            writer.WriteString("path", file.Path);
            if (file.Partition is { } partition)
            {
                writer.WriteNumber("partition", partition);
            }

            writer.WriteNumber("length", file.Length);
            writer.WriteNumber("bytes", file.Bytes);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static string Words(ExclusionRuleRecord rule) => rule.Origin == "user" ? Printable(rule.Pattern) : $"{rule.Origin} {Printable(rule.Pattern)}";

    private static string Place(ExcludedFileRecord file) => file.Partition is { } partition ? string.Create(CultureInfo.InvariantCulture, $"partition {partition}: {file.Path}") : file.Path;

    private static string Count(long files) => files == 1 ? "1 file" : string.Create(CultureInfo.InvariantCulture, $"{files} files");

    /// <summary>A name on a volume may hold what makes a terminal do things.</summary>
    private static string Printable(string text) => string.Create(text.Length, text, (into, from) =>
    {
        for (int index = 0; index < into.Length; index++)
        {
            into[index] = char.IsControl(from[index]) ? '?' : from[index];
        }
    });
}
