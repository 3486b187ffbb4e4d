namespace Quench.Cli;

/// <summary>The help's prose: one text file for each command, in Help/.</summary>
internal static class HelpText
{
    /// <summary>The text for a command.</summary>
    public static string Of(string command)
    {
        using Stream text = typeof(HelpText).Assembly.GetManifestResourceStream(command)
            ?? throw new InvalidOperationException($"there is no help text for {command}");
        using StreamReader reader = new(text);
        return reader.ReadToEnd().Trim();
    }
}
