using System.Globalization;
using Quench.Blocks;
using Quench.Imaging.Recovery;

namespace Quench.Cli.Output;

/// <summary>A restore plan in words and in JSON.</summary>
internal static class RestorePlanText
{
    /// <summary>Writes a plan.</summary>
    public static void Write(TextWriter output, RestorePlan plan, bool json)
    {
        if (json)
        {
            WriteJson(output, plan);
        }
        else
        {
            WriteWords(output, plan);
        }
    }

    private static void WriteWords(TextWriter output, RestorePlan plan)
    {
        string instant = plan.Volume.Instant.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
        output.WriteLine($"from   point {plan.Point.ShortId}: {plan.Volume.Name} as it was at {instant}");
        output.WriteLine($"       {ByteSize.Format(plan.Volume.Length)}, of which {ByteSize.Format(plan.Volume.UsedBytes)} in use");
        output.WriteLine($"to     {plan.TargetPath}, {Describe(plan)}");
        if (plan.OnlyDifferent)
        {
            output.WriteLine("       only what differs is written");
        }

        if (plan.Beyond > 0)
        {
            output.WriteLine($"       its last {ByteSize.Format(plan.Beyond)} stay as they are");
        }

        if (plan.ReadBack)
        {
            output.WriteLine("       everything is read back at the end and compared");
        }
    }

    private static string Describe(RestorePlan plan) => plan.TargetKind switch
    {
        RestoreTargetKind.NewFile => "a new sparse file",
        RestoreTargetKind.ExistingFile => $"a file of {ByteSize.Format(plan.TargetLength)}: what is in it will be lost",
        _ => $"a device of {ByteSize.Format(plan.TargetLength)}: what is on it will be lost",
    };

    private static void WriteJson(TextWriter output, RestorePlan plan) => JsonLine.WriteMessage(output, "plan", writer =>
    {
        writer.WriteString("point", plan.Point.Id.ToString("N"));
        writer.WriteString("volume", plan.Volume.Name);
        writer.WriteNumber("length", plan.Volume.Length);
        writer.WriteNumber("used_bytes", plan.Volume.UsedBytes);
        writer.WriteString("target", plan.TargetPath);
        writer.WriteString("target_kind", plan.TargetKind switch
        {
            RestoreTargetKind.NewFile => "new-file",
            RestoreTargetKind.ExistingFile => "file",
            _ => "device",
        });
        writer.WriteNumber("target_length", plan.TargetLength);
        writer.WriteBoolean("destructive", plan.IsDestructive);
        writer.WriteBoolean("only_different", plan.OnlyDifferent);
        writer.WriteBoolean("read_back", plan.ReadBack);
    });
}
