using System.CommandLine;
using System.Globalization;

namespace Quench.Cli;

/// <summary>Durations as people write them: 90s, 30min, 12h, 14d, 8w, 6mo, 2y, and one behind the other. A month is 30 days, a year 365.</summary>
internal static class DurationText
{
    private static readonly (string Unit, TimeSpan Length)[] s_units =
    [
        ("min", TimeSpan.FromMinutes(1)), ("mo", TimeSpan.FromDays(30)), ("s", TimeSpan.FromSeconds(1)), ("h", TimeSpan.FromHours(1)),
        ("d", TimeSpan.FromDays(1)), ("w", TimeSpan.FromDays(7)), ("y", TimeSpan.FromDays(365)),
    ];

    private static readonly TimeSpan s_longest = TimeSpan.FromDays(365 * 1000);

    /// <summary>Reads a duration.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        ReadOnlySpan<char> rest = text.AsSpan().Trim();
        if (rest.IsEmpty)
        {
            return false;
        }

        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits <= 0 || !int.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out int count)
                || !TryTakeUnit(rest[digits..], out TimeSpan unit, out int length)
                || count > s_longest / unit)
            {
                return false;
            }

            duration += count * unit;
            rest = rest[(digits + length)..];
        }

        return duration <= s_longest;
    }

    /// <summary>An option that takes a duration.</summary>
    public static Option<TimeSpan> Option(string name, string description) => new(name)
    {
        HelpName = "DURATION",
        Description = description,
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (TryParse(text, out TimeSpan duration))
            {
                return duration;
            }

            result.AddError($"{name}: \"{text}\" is not a duration; write it as 90s, 30min, 12h, 14d, 8w, 6mo or 2y");
            return default;
        },
    };

    private static bool TryTakeUnit(ReadOnlySpan<char> text, out TimeSpan unit, out int length)
    {
        foreach ((string name, TimeSpan span) in s_units)
        {
            if (text.StartsWith(name, StringComparison.Ordinal))
            {
                (unit, length) = (span, name.Length);
                return true;
            }
        }

        (unit, length) = (default, 0);
        return false;
    }
}
