using System.Globalization;
using System.Text.Json;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Output;

/// <summary>How a volume's worker is doing, for people and for scripts.</summary>
internal static class SupervisionDisplay
{
    /// <summary>The volume's state in a word.</summary>
    public static string State(AttachedVolume volume, VolumeSupervision? supervision) =>
        volume.State == AttachmentState.Dead ? "dead"
        : supervision?.PassThrough is not null ? "pass-through"
        : supervision is { IsSupervised: false } ? "unsupervised"
        : "serving";

    /// <summary>What became of its workers so far.</summary>
    public static string Worker(VolumeSupervision? supervision, TimeProvider clock)
    {
        if (supervision is null)
        {
            return "";
        }

        string replaced = (supervision.Restarts, supervision.Upgrades) switch
        {
            (0, 0) => "first",
            (0, _) => string.Create(CultureInfo.InvariantCulture, $"{supervision.Upgrades} upgrades"),
            (_, 0) => string.Create(CultureInfo.InvariantCulture, $"{supervision.Restarts} restarts"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{supervision.Restarts} restarts, {supervision.Upgrades} upgrades"),
        };
        string why = supervision.LastChange is { } change && supervision.LastChangeTime is { } when
            ? $": {change} {Rough(clock.GetUtcNow() - when)} ago"
            : "";
        string next = supervision.NextTry is { } time ? $"; full service again in {Rough(time - clock.GetUtcNow())}" : "";
        return replaced + why + next;
    }

    /// <summary>The object "worker" of a volume; null when none answers.</summary>
    public static void WriteJson(Utf8JsonWriter writer, VolumeSupervision? supervision)
    {
        if (supervision is null)
        {
            writer.WriteNull("worker");
            return;
        }

        writer.WriteStartObject("worker");
        writer.WriteNumber("process", supervision.WorkerId);
        writer.WriteBoolean("supervised", supervision.IsSupervised);
        writer.WriteBoolean("standby", supervision.HasStandby);
        writer.WriteNumber("restarts", supervision.Restarts);
        writer.WriteNumber("hangs", supervision.Hangs);
        writer.WriteNumber("upgrades", supervision.Upgrades);
        writer.WriteString("last_change", supervision.LastChange);
        WriteTime(writer, "last_change_time", supervision.LastChangeTime);
        writer.WriteString("pass_through", supervision.PassThrough);
        WriteTime(writer, "pass_through_since", supervision.PassThroughSince);
        WriteTime(writer, "next_try", supervision.NextTry);
        writer.WriteEndObject();
    }

    private static string Rough(TimeSpan time) => time switch
    {
        { TotalMinutes: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, time.TotalSeconds):0} s"),
        { TotalHours: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMinutes:0} min"),
        { TotalDays: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalHours:0} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{time.TotalDays:0} d"),
    };

    private static void WriteTime(Utf8JsonWriter writer, string name, DateTimeOffset? time)
    {
        if (time is { } there)
        {
            writer.WriteString(name, there);
        }
        else
        {
            writer.WriteNull(name);
        }
    }
}
