using System.Globalization;
using System.Text.Json;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>What would be forgotten and what stays and why, in words and in JSON.</summary>
internal static class ForgetPlanText
{
    /// <summary>Writes a plan.</summary>
    public static void Write(TextWriter output, ForgetPlan plan, bool json)
    {
        if (json)
        {
            WriteJson(output, plan, "plan");
            return;
        }

        foreach (ForgetGroup group in plan.Groups)
        {
            WriteGroup(output, group);
        }

        foreach (ForgetConcern concern in plan.Concerns)
        {
            output.WriteLine($"note: {concern.What}");
        }
    }

    /// <summary>Writes a plan as one line.</summary>
    public static void WriteJson(TextWriter output, ForgetPlan plan, string type) => JsonLine.WriteMessage(output, type, writer =>
    {
        writer.WriteNumber("forgotten", plan.Going.Count);
        writer.WriteStartArray("points");
        foreach (RetentionVerdict verdict in plan.Groups.SelectMany(group => group.Verdicts))
        {
            WriteVerdict(writer, verdict);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("concerns");
        foreach (ForgetConcern concern in plan.Concerns)
        {
            writer.WriteStringValue(concern.What);
        }

        writer.WriteEndArray();
    });

    private static void WriteGroup(TextWriter output, ForgetGroup group)
    {
        int stay = group.Verdicts.Count(verdict => verdict.Stays);
        output.WriteLine(group.Host.Length == 0
            ? $"damaged points: {stay} stay, {group.Verdicts.Count - stay} go"
            : $"{string.Join(", ", group.Volumes)} of {group.Host}: {stay} stay, {group.Verdicts.Count - stay} go");
        TextTable table = new("POINT", "INSTANT", "TAGS", "", "WHY");
        foreach (RetentionVerdict verdict in group.Verdicts)
        {
            table.Add(
                verdict.Point.ShortId,
                verdict.Point.Instant.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture),
                string.Join(",", verdict.Point.Tags),
                verdict.Stays ? "stays" : "goes",
                verdict.Stays ? string.Join("; ", verdict.Reasons) : "");
        }

        table.WriteTo(output);
        output.WriteLine();
    }

    private static void WriteVerdict(Utf8JsonWriter writer, RetentionVerdict verdict)
    {
        writer.WriteStartObject();
        writer.WriteString("point", verdict.Point.Id.ToString("N"));
        writer.WriteString("host", verdict.Point.Host);
        writer.WriteString("instant", verdict.Point.Instant);
        writer.WriteBoolean("stays", verdict.Stays);
        writer.WriteStartArray("why");
        foreach (string reason in verdict.Reasons)
        {
            writer.WriteStringValue(reason);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
