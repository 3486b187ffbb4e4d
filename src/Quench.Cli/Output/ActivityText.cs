using System.Globalization;
using System.Text;
using Quench.Blocks;
using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;

namespace Quench.Cli.Output;

/// <summary>What a watch comes to, for people.</summary>
/// <param name="summary">What it comes to.</param>
/// <param name="zone">In which times are told.</param>
/// <param name="top">Rows of each table.</param>
internal sealed class ActivityText(ActivitySummary summary, TimeZoneInfo zone, int top)
{
    private const int Columns = 60;
    private const string Heights = " ▁▂▃▄▅▆▇█";

    /// <summary>Writes all of it.</summary>
    public void WriteTo(TextWriter output)
    {
        WriteHead(output);
        WriteProcesses(output);
        WriteFiles(output);
        WritePlot(output);
        WriteTimes(output);
        WriteForecast(output);
    }

    /// <summary>What a process is called: who nobody knows has a name too.</summary>
    public static string NameOf(ProcessSummary process) => process switch
    {
        { Group: ProcessGroup.Unknown } => "(not known: pending before the watch)",
        { IsKernel: true } => $"{process.Name} (kernel)",
        _ => process.Name,
    };

    /// <summary>What a file is called.</summary>
    public static string NameOf(WrittenFile file) => file switch
    {
        { Kind: WrittenKind.Metadata } => "(the file system's own structures)",
        { Kind: WrittenKind.Unknown } => "(journal, or a file that is not known)",
        { Path: null } => string.Create(CultureInfo.InvariantCulture, $"(inode {file.Inode}, no name)"),
        _ => file.Path,
    };

    /// <summary>The group's name.</summary>
    public static string NameOf(ProcessGroup group) => group switch
    {
        ProcessGroup.System => "system",
        ProcessGroup.Application => "applications",
        ProcessGroup.Watch => "this watch",
        _ => "not known",
    };

    private void WriteHead(TextWriter output)
    {
        ActivitySession session = summary.Session;
        string where = session.MountPoint is { } mount ? $" ({session.FileSystem} at {mount})" : "";
        output.WriteLine($"{session.Device}{where}, watched for {ProgressText.Span(summary.Watched)}, {Time(summary.Start)} to {Time(summary.End)}");
        output.WriteLine($"{Count(summary.Writes.Count, "write")} of {ByteSize.Format(summary.Writes.Bytes)} to {Count(summary.FileCount, "file")} by {Count(summary.Processes.Where(process => process.Group != ProcessGroup.Unknown).Sum(process => process.Processes), "process", "processes")}; "
            + $"{ByteSize.Format(summary.DistinctBytes)} of the volume changed");
        foreach (KindSummary kind in summary.Kinds.Where(kind => kind.Kind != WriteKind.Write && kind.Count > 0))
        {
            output.WriteLine($"also {Words(kind)}{(kind.Bytes > 0 ? $" of {ByteSize.Format(kind.Bytes)}" : "")}");
        }

        output.WriteLine(Words(summary.Losses));
        TextTable table = new("GROUP", "WRITES", "BYTES");
        foreach (ProcessGroup group in Enum.GetValues<ProcessGroup>())
        {
            (long writes, long bytes) = summary.Of(group);
            table.Add(NameOf(group), Number(writes), ByteSize.Format(bytes));
        }

        output.WriteLine();
        table.WriteTo(output);
    }

    private void WriteProcesses(TextWriter output)
    {
        TextTable table = new("PROCESS", "GROUP", "PROCESSES", "WRITES", "BYTES", "FILES");
        foreach (ProcessSummary process in summary.Processes.Take(top))
        {
            table.Add(NameOf(process), NameOf(process.Group), Number(process.Processes), Number(process.Writes), ByteSize.Format(process.Bytes), Number(process.Files));
        }

        WriteTable(output, table, summary.Processes.Count);
    }

    private void WriteFiles(TextWriter output)
    {
        TextTable table = new("WRITES", "BYTES", "BY", "FILE");
        foreach (FileSummary file in summary.Files.Take(top))
        {
            table.Add(Number(file.Writes), ByteSize.Format(file.Bytes), string.Join(' ', file.Processes.Select(name => name.Length == 0 ? "?" : name)), NameOf(file.File));
        }

        WriteTable(output, table, summary.Files.Count);
    }

    private void WriteTable(TextWriter output, TextTable table, int rows)
    {
        if (rows == 0 || top == 0)
        {
            return;
        }

        output.WriteLine();
        table.WriteTo(output);
        if (rows > top)
        {
            output.WriteLine($"… and {rows - top} more");
        }
    }

    private void WritePlot(TextWriter output)
    {
        IReadOnlyList<TimelineColumn> columns = summary.Timeline.Cut(Columns);
        long most = columns.Max(column => column.Bytes);
        double seconds = (summary.End - summary.Start).TotalSeconds / Columns;
        output.WriteLine();
        output.WriteLine($"applications  {Bars(columns, most, column => column.OtherBytes)}");
        output.WriteLine($"system        {Bars(columns, most, column => column.SystemBytes)}");
        output.WriteLine($"              {Time(summary.Start)}{new string(' ', Math.Max(1, Columns - 38))}{Time(summary.End)}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"              a column is {seconds:0.#} s; the highest has {ByteSize.Format(most)}; a dot was not watched"));
    }

    private static string Bars(IReadOnlyList<TimelineColumn> columns, long most, Func<TimelineColumn, long> bytes)
    {
        StringBuilder line = new(columns.Count);
        foreach (TimelineColumn column in columns)
        {
            int height = most == 0 ? 0 : (int)Math.Ceiling(bytes(column) * (Heights.Length - 1) / (double)most);
            line.Append(column.IsWatched ? Heights[height] : '·');
        }

        return line.ToString();
    }

    private void WriteTimes(TextWriter output)
    {
        if (summary is { Quietest: { } quiet, Busiest: { } busy })
        {
            output.WriteLine();
            output.WriteLine($"quietest {Stretch(quiet)}");
            output.WriteLine($"busiest  {Stretch(busy)}");
        }

        if (summary.Hours.Count < 3)
        {
            return;
        }

        TextTable table = new("HOUR", "WATCHED", "WRITES", "BYTES AN HOUR");
        foreach (HourSummary hour in summary.Hours)
        {
            table.Add(string.Create(CultureInfo.InvariantCulture, $"{hour.Hour:00}"), ProgressText.Span(hour.Watched), Number(hour.Writes), ByteSize.Format((long)hour.BytesPerHour));
        }

        output.WriteLine();
        table.WriteTo(output);
    }

    private void WriteForecast(TextWriter output)
    {
        output.WriteLine();
        TextTable table = new("A BACKUP THAT TAKES", "CHANGES MEANWHILE", "AT MOST");
        foreach (DiffAreaForecast area in summary.DiffAreas)
        {
            table.Add(ProgressText.Span(area.Length), (area.IsExtrapolated ? "up to " : "") + ByteSize.Format(area.Median), area.IsExtrapolated ? "(in proportion: not watched for so long)" : ByteSize.Format(area.Most));
        }

        table.WriteTo(output);
        output.WriteLine($"A diff area needs no more than that. As a mounted volume, it would be frozen for about {Hold(summary.Freeze.Median)}, in the busiest second {Hold(summary.Freeze.Most)}.");
    }

    private static string Words(WriteLosses losses)
    {
        string approximate = losses.ApproximateBytes > 0 ? $" {ByteSize.Format(losses.ApproximateBytes)} at the end of long writes are put down to the process before." : "";
        string pages = losses.Pages > 0 ? $" For {Number(losses.Pages)} pages it could not be noted who wrote them." : "";
        string names = losses.Names > 0 ? $" {Number(losses.Names)} times a file's name was told late." : "";
        return (losses.MayMissWrites
            ? $"WARNING writes are missing here: {Number(losses.Events)} of {ByteSize.Format(losses.Bytes)} found no room, {Number(losses.Missed)} times the kernel left the watch out, {Number(losses.Unread)} could not be read."
            : "Every write was heard.") + approximate + pages + names;
    }

    private string Stretch(BusyTime time) => $"{(time.Length.TotalMinutes > 1 ? "hour" : "minute")}: {Time(time.Start)}, {Count(time.Writes, "write")} of {ByteSize.Format(time.Bytes)}";

    private string Time(DateTimeOffset at) => TimeZoneInfo.ConvertTime(at, zone).ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    private static string Hold(TimeSpan? hold) => hold is { } time ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0} ms") : "no time: it writes faster than a copy gets ahead";

    private static string Words(KindSummary kind) => kind.Kind switch
    {
        WriteKind.Discard => Count(kind.Count, "discard"),
        WriteKind.Zero => Count(kind.Count, "request for zeros", "requests for zeros"),
        WriteKind.Flush => Count(kind.Count, "flush", "flushes"),
        _ => Count(kind.Count, "other change"),
    };

    private static string Count(long count, string one, string? many = null) => $"{Number(count)} {(count == 1 ? one : many ?? one + "s")}";

    private static string Number(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);
}
