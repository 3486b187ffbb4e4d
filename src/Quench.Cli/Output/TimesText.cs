using System.Globalization;
using System.Text.Json;
using Quench.Snapshots;

namespace Quench.Cli.Output;

/// <summary>How a backup says what its snapshot took, each figure beside its limit.</summary>
internal static class TimesText
{
    /// <summary>Writes "limits" and "quiet"; null where there is nothing to say.</summary>
    public static void WriteJson(Utf8JsonWriter writer, SnapshotTimes? times)
    {
        if (times is null)
        {
            writer.WriteNull("limits");
            writer.WriteNull("quiet");
            return;
        }

        writer.WriteStartObject("limits");
        Write(writer, "snapshot", times.Taken, times.TakeLimit);
        Write(writer, "save_wait", times.SaveWait, times.SaveWaitLimit);
        Write(writer, "saved", times.Handling, times.HandlingLimit);
        Write(writer, "hold", times.Hold, times.HoldLimit);
        Write(writer, "idle", times.Idle, times.IdleLimit);
        writer.WriteEndObject();
        if (times.Quiet is { } quiet)
        {
            writer.WriteStartObject("quiet");
            writer.WriteBoolean("found", quiet.IsFound);
            writer.WriteNumber("waited_ms", Math.Round(quiet.Waited.TotalMilliseconds));
            writer.WriteNumber("quiet_ms", Math.Round(quiet.Quiet.TotalMilliseconds));
            writer.WriteNumber("attempts", quiet.Attempts);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteNull("quiet");
        }
    }

    /// <summary>Lines for people.</summary>
    public static IEnumerable<string> Words(SnapshotTimes? times)
    {
        if (times is null)
        {
            yield break;
        }

        if (times.Quiet is { } quiet)
        {
            yield return quiet.IsFound
                ? $"taken in a pause: nothing had been written for {Show(quiet.Quiet)}, after {Show(quiet.Waited)} of waiting{(quiet.Attempts > 1 ? $" and {quiet.Attempts} attempts" : "")}"
                : $"not taken in a pause: writes never ceased for long enough within {Show(quiet.Waited)}";
        }

        string idle = times.Idle is { } after ? $"let go in {Show(after)} of {Show(times.IdleLimit)}" : "the diff area's memory is given back when its disk answers";
        yield return $"within limits: snapshot taken in {Show(times.Taken)} of {Show(times.TakeLimit)}, a write waited {Show(times.SaveWait)} of {Show(times.SaveWaitLimit)} at most, "
            + $"old blocks on their way {Show(times.Handling)} of {Show(times.HandlingLimit)} at most, {idle}";
        if (times.Hold is { } held)
        {
            yield return $"writers were held because the diff area was full: {Show(held)} of {Show(times.HoldLimit)} at most";
        }
    }

    private static void Write(Utf8JsonWriter writer, string name, TimeSpan? measured, TimeSpan limit)
    {
        if (measured is { } time)
        {
            writer.WriteNumber($"{name}_ms", Math.Round(time.TotalMilliseconds, 3));
        }
        else
        {
            writer.WriteNull($"{name}_ms");
        }

        writer.WriteNumber($"{name}_limit_ms", limit.TotalMilliseconds);
    }

    private static string Show(TimeSpan time) => time.TotalSeconds >= 1
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.#} s")
        : string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.#} ms");
}
