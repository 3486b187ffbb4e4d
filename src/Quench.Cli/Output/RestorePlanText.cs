using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Imaging.Recovery;
using Quench.Vault;

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
        string what = plan.PartitionNumber is { } number ? $"partition {number} of {plan.Volume.Name}" : plan.Volume.Name;
        output.WriteLine($"from   point {plan.Point.ShortId}: {what} as it was at {instant}");
        output.WriteLine(plan.PartitionNumber is null
            ? $"       {ByteSize.Format(plan.Volume.Length)}, of which {ByteSize.Format(plan.Volume.UsedBytes)} in use"
            : $"       {ByteSize.Format(plan.Part.Length)}");
        if (ExclusionText.Warning(LeftOut(plan)) is { } left)
        {
            output.WriteLine($"       {left}");
        }

        output.WriteLine($"to     {plan.TargetPath}, {Describe(plan)}");
        if (plan.OnlyDifferent)
        {
            output.WriteLine("       only what differs is written");
        }

        if (plan.Beyond > 0)
        {
            output.WriteLine($"       its last {ByteSize.Format(plan.Beyond)} stay as they are{(plan.FitsTable ? ", but for the partition table" : "")}");
        }

        WriteTable(output, plan);
        WriteStart(output, plan);
        if (plan.ReadBack)
        {
            output.WriteLine("       everything is read back at the end and compared");
        }
    }

    private static void WriteTable(TextWriter output, RestorePlan plan)
    {
        if (plan.Beyond < 0)
        {
            output.WriteLine($"       the last {ByteSize.Format(-plan.Beyond)} of the disk, behind its last partition, are left out");
        }

        if (plan.FitsTable)
        {
            output.WriteLine("       the partition table is written anew for the target's size");
        }

        if (plan.GrownPartition is { } grown)
        {
            output.WriteLine($"       partition {grown} becomes {ByteSize.Format(plan.GrownLength!.Value)}; the file system on it keeps its size until its own program grows it");
        }
    }

    private static void WriteStart(TextWriter output, RestorePlan plan)
    {
        if (plan.MovedTo is { } start)
        {
            output.WriteLine($"       its boot sector is changed to say that it begins at byte {start} of the disk, as the target does; it lay at byte {plan.Part.Offset}");
        }

        if (plan.SaysItBeginsAt is { } sector)
        {
            output.WriteLine($"       its boot sector says that it begins at sector {sector} of its disk, which the target does not: files are not touched by that, but a machine may not start from it");
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
        writer.WriteBoolean("new_table", plan.FitsTable);
        WriteNumber(writer, "partition", plan.PartitionNumber);
        WriteNumber(writer, "grown_partition", plan.GrownPartition);
        WriteNumber(writer, "grown_length", plan.GrownLength);
        WriteNumber(writer, "moved_to", plan.MovedTo);
        ExclusionText.WriteJson(writer, LeftOut(plan));
    });

    /// <summary>What was left out of the part that is restored: of a partition, what lies on it.</summary>
    private static ExclusionRecord? LeftOut(RestorePlan plan) => plan.PartitionNumber is { } number ? ExclusionText.OfPartition(plan.Volume.Exclusions, number) : plan.Volume.Exclusions;

    private static void WriteNumber(Utf8JsonWriter writer, string name, long? number)
    {
        if (number is { } known)
        {
            writer.WriteNumber(name, known);
        }
        else
        {
            writer.WriteNull(name);
        }
    }
}
