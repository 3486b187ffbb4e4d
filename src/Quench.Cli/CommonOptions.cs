using System.CommandLine;
using Quench.Blocks;

namespace Quench.Cli;

/// <summary>Options that several commands share, each made anew for its command.</summary>
internal static class CommonOptions
{
    private const string VaultName = "--vault";
    private const string JsonName = "--json";
    private const string KeyFileName = "--key-file";

    /// <summary>--vault DIR.</summary>
    public static Option<string?> Vault() =>
        new(VaultName, "-r") { HelpName = "DIR", Description = "The vault's directory. QUENCH_VAULT names it when this is not given." };

    /// <summary>--key-file PATH.</summary>
    public static Option<string?> KeyFile() =>
        new(KeyFileName) { HelpName = "PATH", Description = "A key file that opens the vault, in place of its password. QUENCH_KEY_FILE names it when this is not given." };

    /// <summary>Gives every command that opens a vault, and those below it, the option of a key file.</summary>
    public static void AddKeyFile(Command command)
    {
        if (command.Options.Any(option => option.Name == VaultName) && command.Name != "init")
        {
            command.Add(KeyFile());
        }

        foreach (Command below in command.Subcommands)
        {
            AddKeyFile(below);
        }
    }

    /// <summary>The key file that the command line names, or else the environment; null when there is none.</summary>
    public static string? KeyFilePath(ParseResult parsed, CliHost host)
    {
        Option<string?>? option = parsed.CommandResult.Command.Options.OfType<Option<string?>>().FirstOrDefault(option => option.Name == KeyFileName);
        string? path = (option is null ? null : parsed.GetValue(option)) ?? host.Variable("QUENCH_KEY_FILE");
        return string.IsNullOrEmpty(path) ? null : path;
    }

    /// <summary>--json.</summary>
    public static Option<bool> Json() => new(JsonName) { Description = "Print JSON, one object a line, on standard output." };

    /// <summary>A size such as 512M.</summary>
    public static Option<long?> Size(string name, string description) => new(name)
    {
        HelpName = "SIZE",
        Description = description,
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (ByteSize.TryParse(text, out long bytes))
            {
                return bytes;
            }

            result.AddError($"{name}: \"{text}\" is not a size; write it as 4096, 64K, 512M or 2G");
            return null;
        },
    };

    /// <summary>Whether the command that is run has --json, and it was given.</summary>
    public static bool WantsJson(ParseResult parsed) =>
        parsed.CommandResult.Command.Options.OfType<Option<bool>>().FirstOrDefault(option => option.Name == JsonName) is { } json
        && parsed.GetValue(json);

    /// <summary>The vault's directory.</summary>
    /// <exception cref="QuenchException">CLI-101, exit code 2: none was named.</exception>
    public static string VaultLocation(ParseResult parsed, Option<string?> vault, CliHost host)
    {
        string? location = parsed.GetValue(vault) ?? host.Variable("QUENCH_VAULT");
        return !string.IsNullOrEmpty(location)
            ? Path.GetFullPath(location)
            : throw new QuenchException("CLI-101", "no vault was named", "say --vault DIR, or set QUENCH_VAULT") { ExitCode = ExitCodes.Usage };
    }
}
