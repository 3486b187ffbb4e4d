using System.Text;
using Quench.Blocks;

namespace Quench.Imaging.Capture.Exclusions;

/// <summary>
/// A pattern for paths inside a volume, from its root folder on. In a name <c>*</c> stands for any characters, <c>?</c> for one, <c>[a-z]</c> for one of those, <c>[!a-z]</c> for one that
/// is none of those, and a backslash takes the meaning from what follows it. <c>**</c> alone between slashes stands for any number of folders, none too. A folder that matches brings all
/// that is below it. Constant; readable from many threads.
/// </summary>
public sealed class PathGlob
{
    private const int MostSegments = 60; // the states of a match are the bits of one number
    private const int MostCharacters = 4096;

    private readonly NamePattern?[] _segments; // null: any number of folders

    private PathGlob(string text, NamePattern?[] segments) => (Text, _segments) = (text, segments);

    /// <summary>The pattern as it was written.</summary>
    public string Text { get; }

    /// <summary>Where a match begins: at the root folder, with nothing matched. A set of positions in the pattern, one a bit.</summary>
    internal ulong Start => Spread(1);

    /// <summary>Reads a pattern.</summary>
    /// <param name="text">The pattern; a slash at its end changes nothing.</param>
    /// <exception cref="QuenchException">CLI-154, exit code 2: it can't be one; the message says why.</exception>
    public static PathGlob Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Demand(text, text.StartsWith('/'), "it does not begin with a slash: paths are from the volume's root folder on, and /**/ stands for any folder");
        Demand(text, text.Length <= MostCharacters && !text.Contains('\0', StringComparison.Ordinal), $"it is longer than {MostCharacters} characters, or has a NUL");
        string trimmed = text.Length > 1 && text[^1] == '/' ? text[1..^1] : text[1..];
        Demand(text, trimmed.Length > 0, "it names all of the volume");
        string[] parts = trimmed.Split('/');
        Demand(text, parts.Length <= MostSegments, $"it has more than {MostSegments} parts");
        return new PathGlob(text, [.. parts.Select(part => Segment(text, part))]);
    }

    /// <summary>The pattern that matches one path and no other.</summary>
    /// <param name="path">From the volume's root folder on, with a slash at its start.</param>
    public static PathGlob Literal(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        StringBuilder text = new(path.Length);
        foreach (char one in path)
        {
            text.Append(one is '*' or '?' or '[' or ']' or '\\' ? "\\" : "").Append(one);
        }

        return Parse(text.ToString());
    }

    /// <summary>Goes on with one name.</summary>
    /// <param name="positions">Where the match stands in the folder that the name is in.</param>
    /// <param name="name">The name of a file or a folder there.</param>
    /// <param name="ignoresCase">Whether case counts.</param>
    /// <returns>Where it stands then; 0 when nothing matches any more.</returns>
    internal ulong Step(ulong positions, string name, bool ignoresCase)
    {
        if (IsMatch(positions))
        {
            return positions; // all below a folder that matches
        }

        ulong next = 0;
        for (int index = 0; index < _segments.Length; index++)
        {
            if ((positions & (1UL << index)) != 0)
            {
                next |= _segments[index] is not { } pattern ? 1UL << index : pattern.Matches(name, ignoresCase) ? 1UL << (index + 1) : 0;
            }
        }

        return Spread(next);
    }

    /// <summary>Whether all of the pattern has been matched.</summary>
    internal bool IsMatch(ulong positions) => (positions & (1UL << _segments.Length)) != 0;

    /// <inheritdoc/>
    public override string ToString() => Text;

    /// <summary>Any number of folders may be none.</summary>
    private ulong Spread(ulong positions)
    {
        for (int index = 0; index < _segments.Length; index++)
        {
            positions |= _segments[index] is null && (positions & (1UL << index)) != 0 ? 1UL << (index + 1) : 0;
        }

        return positions;
    }

    private static NamePattern? Segment(string text, string part)
    {
        Demand(text, part.Length > 0, "it has two slashes side by side");
        Demand(text, part is not ("." or ".."), $"\"{part}\" is no name of a file");
        if (part == "**")
        {
            return null;
        }

        Demand(text, !part.Contains("**", StringComparison.Ordinal), "** stands for folders, so it must have a slash or an end on both sides");
        return NamePattern.TryParse(part, out string? wrong) ?? throw Refused(text, wrong!);
    }

    private static void Demand(string text, bool condition, string why)
    {
        if (!condition)
        {
            throw Refused(text, why);
        }
    }

    private static QuenchException Refused(string text, string why) =>
        new("CLI-154", $"\"{text}\" is not a pattern for paths inside a volume: {why}", "write it as /var/cache/**/*.bin; quench backup --help says what stands for what")
        {
            Effect = "nothing was read or written",
            ExitCode = 2,
        };
}
