using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Secrets;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.Cli;

/// <summary>A vault that a command works with, and where it is.</summary>
internal sealed class OpenVault : IAsyncDisposable
{
    private readonly CliHost _host;

    private OpenVault(BackupVault vault, string location, CliHost host)
    {
        Vault = vault;
        Location = location;
        _host = host;
    }

    public BackupVault Vault { get; }

    public string Location { get; }

    /// <summary>Opens the vault that the command line or the environment names, with the password from wherever it comes.</summary>
    public static Task<OpenVault> OpenAsync(ParseResult parsed, Option<string?> option, CliHost host, CancellationToken cancellationToken) =>
        OpenAtAsync(parsed, CommonOptions.VaultLocation(parsed, option, host), host, cancellationToken);

    /// <summary>Opens the vault at a place, with the same password or key file.</summary>
    public static async Task<OpenVault> OpenAtAsync(ParseResult parsed, string location, CliHost host, CancellationToken cancellationToken)
    {
        DemandDirectory(location);
        (SecretKind kind, Secret secret) = await GetSecretAsync(parsed, host, cancellationToken);
        using (secret)
        {
            return await OpenAsync(location, kind, secret, host, cancellationToken);
        }
    }

    /// <summary>Opens the vault that points are copied to, whose password has variables of its own.</summary>
    public static async Task<OpenVault> OpenTargetAsync(string path, CliHost host, CancellationToken cancellationToken)
    {
        string location = Path.GetFullPath(path);
        DemandDirectory(location);
        using Secret password = await PasswordSource.GetForTargetAsync(host, cancellationToken);
        return await OpenAsync(location, SecretKind.Typed, password, host, cancellationToken);
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

    private static async Task<OpenVault> OpenAsync(string location, SecretKind kind, Secret secret, CliHost host, CancellationToken cancellationToken)
    {
        BackupVault vault = await BackupVault.OpenAsync(new LocalDirectory(location), kind, secret.Bytes, host.Clock, cancellationToken);
        vault.UseIndexCache(CacheFolder.Of(host, vault.Info.Id));
        return new OpenVault(vault, location, host);
    }

    /// <summary>Finds a point.</summary>
    /// <exception cref="QuenchException">CLI-104: there is none.</exception>
    public async Task<RecoveryPoint> FindAsync(string point, CancellationToken cancellationToken) =>
        await Vault.FindPointAsync(point, cancellationToken) ?? throw new QuenchException(
            "CLI-104",
            point == "latest" ? $"the vault {Location} holds no recovery point yet" : $"the vault {Location} holds no recovery point {point}",
            point == "latest" ? "make one: quench backup SOURCE" : "see `quench list`");

    public ValueTask DisposeAsync()
    {
        foreach (string warning in Vault.CacheWarnings)
        {
            _host.Error.WriteLine($"warning: {warning}");
        }

        return Vault.DisposeAsync();
    }

    /// <summary>The key file that the command line or the environment names; otherwise the password from wherever it comes.</summary>
    private static async Task<(SecretKind Kind, Secret Secret)> GetSecretAsync(ParseResult parsed, CliHost host, CancellationToken cancellationToken)
    {
        if (CommonOptions.KeyFilePath(parsed, host) is not { } path)
        {
            return (SecretKind.Typed, await PasswordSource.GetAsync(host, isNew: false, cancellationToken));
        }

        host.BeforeSecrets();
        Secret secret = Secret.Of(KeyFile.Read(path));
        if (KeyFile.IsExposed(path))
        {
            host.Error.WriteLine($"others than its owner may use the key file {path}: chmod 600 {path}");
        }

        return (SecretKind.KeyFile, secret);
    }
}
