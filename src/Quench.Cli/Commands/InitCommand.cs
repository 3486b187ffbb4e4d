using System.CommandLine;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Cli.Output;
using Quench.Cli.Secrets;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.Cli.Commands;

/// <summary>quench init: makes a vault.</summary>
internal static class InitCommand
{
    public static Command Make(CliHost host)
    {
        Option<string?> vault = CommonOptions.Vault();
        Option<bool> json = CommonOptions.Json();
        Option<long?> chunk = CommonOptions.Size("--chunk-size", "Bytes of a chunk, a power of two from 16K to 4M. 64K when not given; fixed for the vault's life.");
        Option<string> parity = new("--parity")
        {
            HelpName = "K+M",
            Description = "Parity for each pack: of every K and M shards any M may rot and be healed. none: a tenth less on the medium, and nothing heals.",
            DefaultValueFactory = _ => ParitySettings.Default.ToString(),
        };
        Command command = new("init", HelpText.Of("init")) { vault, chunk, parity, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            string location = CommonOptions.VaultLocation(parsed, vault, host);
            VaultSettings settings = SettingsFor(parsed.GetValue(chunk)) with { Kdf = host.PasswordCost, Parity = ParityFrom(parsed.GetValue(parity)!) };
            using Secret password = await PasswordSource.GetAsync(host, isNew: true, cancellationToken);
            CreatedVault created = await BackupVault.CreateAsync(
                new LocalDirectory(location), settings, password.Bytes, host.Clock, cancellationToken);
            await using BackupVault open = created.Vault;
            using SecretBytes code = created.RecoveryCode;
            Tell(host, parsed.GetValue(json), location, created);
            return ExitCodes.Done;
        });
        return command;
    }

    private static VaultSettings SettingsFor(long? chunkSize)
    {
        if (chunkSize is not { } size)
        {
            return new VaultSettings();
        }

        bool fits = size is >= VaultSettings.MinChunkSize and <= VaultSettings.MaxChunkSize && (size & (size - 1)) == 0;
        return fits
            ? new VaultSettings { ChunkSize = (int)size }
            : throw new QuenchException("CLI-106", $"{size} bytes is no chunk size", "choose a power of two from 16K to 4M") { ExitCode = ExitCodes.Usage };
    }

    private static ParitySettings ParityFrom(string text) => ParitySettings.TryParse(text, out ParitySettings settings)
        ? settings
        : throw new QuenchException("CLI-112", $"\"{text}\" is no parity", "write it as 20+2 (at most 200+32), or none") { ExitCode = ExitCodes.Usage };

    private static void Tell(CliHost host, bool json, string location, CreatedVault created)
    {
        if (json)
        {
            JsonLine.WriteSecretMessage(host, "summary", "recovery_code", created.RecoveryCode, writer =>
            {
                writer.WriteString("vault", created.Vault.Info.Id);
                writer.WriteString("location", location);
                writer.WriteNumber("chunk_size", created.Vault.Info.ChunkSize);
                writer.WriteString("parity", created.Vault.Info.Parity.ToString());
            });
            return;
        }

        host.Error.WriteLine($"made a vault at {location}");
        host.Error.WriteLine("Write down this recovery code. It opens the vault when the password is lost, and it is not shown again:");
        host.WriteSecret(created.RecoveryCode.Span);
        host.Output.WriteLine();
    }
}
