using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Imaging.Activity;

namespace Quench.Cli.Output;

/// <summary>Progress in words and in JSON.</summary>
internal static class ProgressText
{
    /// <summary>The phase's name, as JSON spells it too.</summary>
    public static string Name(JobPhase phase) => phase switch
    {
        JobPhase.Preparing => "preparing",
        JobPhase.Imaging => "imaging",
        JobPhase.Proving => "proving",
        JobPhase.Restoring => "restoring",
        JobPhase.Verifying => "verifying",
        JobPhase.Copying => "copying",
        _ => "finishing",
    };

    /// <summary>Bytes, rate and time: "1.20 GiB of 4.00 GiB, 312 MiB/s, 9 s left".</summary>
    public static string Facts(Progress progress)
    {
        string done = ByteSize.Format(progress.BytesDone);
        string total = progress.BytesTotal > 0 ? " of " + ByteSize.Format(progress.BytesTotal) : "";
        string rate = progress.BytesPerSecond >= 1 ? $", {ByteSize.Format((long)progress.BytesPerSecond)}/s" : "";
        string left = progress.Remaining is { } remaining ? $", {Span(remaining)} left" : "";
        return done + total + rate + left;
    }

    /// <summary>A whole line: "imaging: 1.20 GiB of 4.00 GiB, 312 MiB/s, 9 s left".</summary>
    public static string Line(Progress progress) => $"{Name(progress.Phase)}: {Facts(progress)}";

    /// <summary>A duration with its two largest units.</summary>
    public static string Span(TimeSpan span) => span switch
    {
        { TotalMilliseconds: < 1000 } => string.Create(CultureInfo.InvariantCulture, $"{span.TotalMilliseconds:0} ms"),
        { TotalMinutes: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0} s"),
        { TotalHours: < 1 } => $"{span.Minutes} min {span.Seconds} s",
        _ => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalHours} h {span.Minutes} min"),
    };

    /// <summary>A status line for scripts.</summary>
    public static void WriteJson(TextWriter output, Progress progress) => JsonLine.WriteMessage(output, "status", writer =>
    {
        writer.WriteString("phase", Name(progress.Phase));
        writer.WriteNumber("bytes_done", progress.BytesDone);
        writer.WriteNumber("bytes_total", progress.BytesTotal);
        writer.WriteNumber("bytes_per_second", Math.Round(progress.BytesPerSecond));
        WriteSeconds(writer, "seconds_remaining", progress.Remaining);
    });

    private static void WriteSeconds(Utf8JsonWriter writer, string name, TimeSpan? span)
    {
        if (span is { } known)
        {
            writer.WriteNumber(name, Math.Round(known.TotalSeconds));
        }
        else
        {
            writer.WriteNull(name);
        }
    }
}
