using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Secrets;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.Cli;

/// <summary>A vault that a command works with, and where it is.</summary>
internal sealed class OpenVault : IAsyncDisposable
{
    private OpenVault(BackupVault vault, string location)
    {
        Vault = vault;
        Location = location;
    }

    public BackupVault Vault { get; }

    public string Location { get; }

    /// <summary>Opens the vault that the command line or the environment names, with the password from wherever it comes.</summary>
    public static async Task<OpenVault> OpenAsync(ParseResult parsed, Option<string?> option, CliHost host, CancellationToken cancellationToken)
    {
        string location = CommonOptions.VaultLocation(parsed, option, host);
        DemandDirectory(location);
        using Secret password = await PasswordSource.GetAsync(host, isNew: false, cancellationToken);
        return await OpenAsync(location, password, host, cancellationToken);
    }

    /// <summary>Opens the vault that points are copied to.</summary>
    public static async Task<OpenVault> OpenTargetAsync(string path, CliHost host, CancellationToken cancellationToken)
    {
        string location = Path.GetFullPath(path);
        DemandDirectory(location);
        using Secret password = await PasswordSource.GetForTargetAsync(host, cancellationToken);
        return await OpenAsync(location, password, host, cancellationToken);
    }

    private static void DemandDirectory(string location)
    {
        if (!Directory.Exists(location))
        {
            throw new QuenchException("CLI-103", $"there is no vault at {location}: there is no such directory", $"check the path, or make one: quench init --vault {location}")
            {
                ExitCode = ExitCodes.NoVault,
            };
        }
    }

    private static async Task<OpenVault> OpenAsync(string location, Secret password, CliHost host, CancellationToken cancellationToken)
    {
        BackupVault vault = await BackupVault.OpenAsync(new LocalDirectory(location), password.Bytes, host.Clock, cancellationToken);
        return new OpenVault(vault, location);
    }

    /// <summary>Finds a point.</summary>
    /// <exception cref="QuenchException">CLI-104: there is none.</exception>
    public async Task<RecoveryPoint> FindAsync(string point, CancellationToken cancellationToken) =>
        await Vault.FindPointAsync(point, cancellationToken) ?? throw new QuenchException(
            "CLI-104",
            point == "latest" ? $"the vault {Location} holds no recovery point yet" : $"the vault {Location} holds no recovery point {point}",
            point == "latest" ? "make one: quench backup SOURCE" : "see `quench list`");

    public ValueTask DisposeAsync() => Vault.DisposeAsync();
}
