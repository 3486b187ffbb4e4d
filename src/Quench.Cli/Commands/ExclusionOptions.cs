using System.CommandLine;
using Quench.Blocks;
using Quench.Imaging.Capture.Exclusions;
using Quench.Imaging.Sources;

namespace Quench.Cli.Commands;

/// <summary>The options that say whose data are left out of an image.</summary>
internal sealed class ExclusionOptions
{
    private const long MostBytes = 1 << 20; // of a file with patterns

    private readonly Option<string[]> _globs = new("--exclude")
    {
        HelpName = "GLOB",
        Description = "Leave out the data of the files that match; they keep name and size, and read as zeros after a restore. A path from the volume's root folder on, such as /var/cache/**/*.bin; a folder takes all below it. May be given several times.",
    };

    private readonly Option<string[]> _files = new("--exclude-file") { HelpName = "FILE", Description = "The same with a pattern on each line of a file; empty lines, and those that begin with #, are passed over. May be given several times." };
    private readonly Option<bool> _noDefaults = new("--no-default-exclusions") { Description = "Also image what is left out unless this is said: page and hibernation files of Windows, active swap files, and the vault and the stores of snapshots where they lie on the volume itself." };

    /// <summary>Gives a command these options.</summary>
    public void AddTo(Command command)
    {
        command.Add(_globs);
        command.Add(_files);
        command.Add(_noDefaults);
    }

    /// <summary>What the user wants left out.</summary>
    /// <exception cref="QuenchException">CLI-154, CLI-155, exit code 2: a pattern that can't be one, or a file with patterns that can't be read.</exception>
    public IReadOnlyList<ExclusionRule> ByUser(ParseResult parsed) =>
        [.. (parsed.GetValue(_globs) ?? []).Concat((parsed.GetValue(_files) ?? []).SelectMany(PatternsIn)).Distinct().Select(text => new ExclusionRule(PathGlob.Parse(text), ExclusionRule.ByUser))];

    /// <summary>What is left out of some sources without being asked; nothing where that was said.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="sources">What is imaged.</param>
    /// <param name="vault">Where the vault lies.</param>
    public IReadOnlyList<ExclusionRule> ByDefault(ParseResult parsed, IReadOnlyList<ImagingSource> sources, string vault) => parsed.GetValue(_noDefaults) ? [] : DefaultExclusions.For(sources, vault);

    private static string[] PatternsIn(string file)
    {
        try
        {
            return new FileInfo(file).Length <= MostBytes
                ? [.. File.ReadLines(file).Where(line => line.Length > 0 && line[0] != '#')]
                : throw Unreadable(file, $"it is larger than {ByteSize.Format(MostBytes)}", null);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(file, failure.Message, failure);
        }
    }

    private static QuenchException Unreadable(string file, string why, Exception? cause) =>
        new("CLI-155", $"the patterns in {file} can't be read: {why}", "name a text file with a pattern on each line", cause)
        {
            Effect = "nothing was read or written",
            ExitCode = ExitCodes.Usage,
        };
}
