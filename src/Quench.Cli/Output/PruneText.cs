using System.Text.Json;
using Quench.Blocks;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>A garbage collection's plan and report, in words and in JSON.</summary>
internal static class PruneText
{
    /// <summary>Writes a plan.</summary>
    public static void Write(TextWriter output, PrunePlan plan, bool json)
    {
        if (json)
        {
            WriteJson(output, plan);
            return;
        }

        output.WriteLine($"vault   {plan.Points} recovery points, {plan.Packs} packs, {ByteSize.Format(plan.PackBytes)}");
        output.WriteLine($"delete  {plan.DeadPacks} packs that no point needs, {ByteSize.Format(plan.DeadBytes)}; {plan.SmallObjects} small objects");
        output.WriteLine($"repack  {plan.RepackedPacks} packs of {ByteSize.Format(plan.RepackedBytes)}, of which {ByteSize.Format(plan.KeptBytes)} are needed");
        output.WriteLine($"gain    {ByteSize.Format(plan.GainedBytes)}");
        if (plan.Unfinished > 0)
        {
            output.WriteLine($"note: garbage collection {plan.Unfinished} was not finished; it is finished first");
        }

        foreach (PendingSession session in plan.Pending)
        {
            output.WriteLine($"note: a backup of {(session.Host.Length > 0 ? session.Host : "an unknown machine")}, begun {session.Started.ToLocalTime():yyyy-MM-dd HH:mm}, has not ended; if packs are deleted it must begin again (--wait gives it time)");
        }

        foreach (string warning in plan.Warnings)
        {
            output.WriteLine($"note: {warning}");
        }

        foreach (string foreign in plan.Foreign)
        {
            output.WriteLine($"note: {foreign} is not the vault's and is not touched");
        }
    }

    /// <summary>Tells what was done.</summary>
    public static void Tell(CliHost host, PruneReport report, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(host.Output, "summary", writer => WriteReport(writer, report));
            return;
        }

        foreach (string warning in report.Warnings)
        {
            host.Error.WriteLine($"note: {warning}");
        }

        string repacked = report.RepackedPacks > 0 ? $", {report.RepackedPacks} of them written anew ({ByteSize.Format(report.WrittenBytes)})" : "";
        string reprieved = report.ReprievedPacks > 0 ? $", {report.ReprievedPacks} kept because a new point needs them" : "";
        string revoked = report.RevokedSessions > 0 ? $", {report.RevokedSessions} unfinished backups must begin again" : "";
        host.Error.WriteLine(report is { DeletedPacks: 0, SmallObjects: 0 }
            ? $"nothing to delete{reprieved}{revoked}"
            : $"{report.DeletedPacks} packs deleted, {ByteSize.Format(report.FreedBytes)} freed{repacked}{reprieved}{revoked}; {report.SmallObjects} small objects deleted");
    }

    private static void WriteReport(Utf8JsonWriter writer, PruneReport report)
    {
        writer.WriteNumber("deleted_packs", report.DeletedPacks);
        writer.WriteNumber("freed_bytes", report.FreedBytes);
        writer.WriteNumber("repacked_packs", report.RepackedPacks);
        writer.WriteNumber("written_bytes", report.WrittenBytes);
        writer.WriteNumber("gained_bytes", report.GainedBytes);
        writer.WriteNumber("reprieved_packs", report.ReprievedPacks);
        writer.WriteNumber("revoked_sessions", report.RevokedSessions);
        writer.WriteNumber("small_objects", report.SmallObjects);
        WriteStrings(writer, "warnings", report.Warnings);
    }

    private static void WriteJson(TextWriter output, PrunePlan plan) => JsonLine.WriteMessage(output, "plan", writer =>
    {
        writer.WriteNumber("points", plan.Points);
        writer.WriteNumber("packs", plan.Packs);
        writer.WriteNumber("pack_bytes", plan.PackBytes);
        writer.WriteNumber("dead_packs", plan.DeadPacks);
        writer.WriteNumber("dead_bytes", plan.DeadBytes);
        writer.WriteNumber("repacked_packs", plan.RepackedPacks);
        writer.WriteNumber("repacked_bytes", plan.RepackedBytes);
        writer.WriteNumber("kept_bytes", plan.KeptBytes);
        writer.WriteNumber("gained_bytes", plan.GainedBytes);
        writer.WriteNumber("small_objects", plan.SmallObjects);
        writer.WriteNumber("unfinished_generation", plan.Unfinished);
        WriteStrings(writer, "pending_sessions", plan.Pending.Select(session => session.Id.ToString("N")));
        WriteStrings(writer, "warnings", plan.Warnings);
        WriteStrings(writer, "foreign", plan.Foreign);
    });

    private static void WriteStrings(Utf8JsonWriter writer, string name, IEnumerable<string> values)
    {
        writer.WriteStartArray(name);
        foreach (string value in values)
        {
            writer.WriteStringValue(value);
        }

        writer.WriteEndArray();
    }
}
