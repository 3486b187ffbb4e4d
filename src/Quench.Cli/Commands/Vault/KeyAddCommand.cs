using System.CommandLine;
using Quench.Blocks.Buffers;
using Quench.Cli.Output;
using Quench.Cli.Secrets;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault key add: another way into a vault.</summary>
internal sealed class KeyAddCommand
{
    private readonly CliHost _host;
    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<string?> _newKeyFile = new("--new-key-file")
    {
        HelpName = "PATH",
        Description = "Make a key file there, which must not exist yet, and let it open the vault.",
    };

    private readonly Option<bool> _recoveryCode = new("--recovery-code") { Description = "Make a new recovery code and print it, once." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private KeyAddCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        KeyAddCommand add = new(host);
        Command command = new("add", HelpText.Of("vault-key-add")) { add._vault, add._newKeyFile, add._recoveryCode, add._json };
        command.Validators.Add(given =>
        {
            if (given.GetValue(add._newKeyFile) is not null && given.GetValue(add._recoveryCode))
            {
                given.AddError("--new-key-file and --recovery-code are two keys: add one after the other");
            }
        });
        command.Run(host, add.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        await using OpenVault open = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        bool json = parsed.GetValue(_json);
        if (parsed.GetValue(_recoveryCode))
        {
            await AddCodeAsync(open.Vault, json, cancellationToken);
            return ExitCodes.Done;
        }

        if (parsed.GetValue(_newKeyFile) is { } path)
        {
            Guid slot = await AddFileAsync(open.Vault, path, cancellationToken);
            Tell(slot, KeySlotKind.KeyFile, $"the key file {path} opens the vault from now on; keep a copy of it elsewhere", json);
            return ExitCodes.Done;
        }

        using Secret password = await PasswordSource.GetNewAsync(_host, cancellationToken);
        Guid added = await open.Vault.AddPasswordAsync(password.Bytes, _host.PasswordCost, cancellationToken);
        Tell(added, KeySlotKind.Password, "the new password opens the vault from now on", json);
        return ExitCodes.Done;
    }

    private async Task AddCodeAsync(BackupVault vault, bool json, CancellationToken cancellationToken)
    {
        (SecretBytes code, Guid slot) = await vault.AddRecoveryCodeAsync(cancellationToken);
        using (code)
        {
            if (json)
            {
                JsonLine.WriteSecretMessage(_host, "summary", "recovery_code", code, writer =>
                {
                    writer.WriteString("slot", slot.ToString("N"));
                    writer.WriteString("kind", KeyCommand.NameOf(KeySlotKind.RecoveryCode));
                });
                return;
            }

            _host.Error.WriteLine($"added recovery code {slot.ToString("N")[..8]}; earlier ones open the vault too, until you remove them");
            _host.Error.WriteLine("Write it down. It is not shown again:");
            _host.WriteSecret(code.Span);
            _host.Output.WriteLine();
        }
    }

    /// <summary>The file is durable before the vault knows it; a file that the vault did not take is taken back.</summary>
    private static async Task<Guid> AddFileAsync(BackupVault vault, string path, CancellationToken cancellationToken)
    {
        using SecretBytes secret = KeyFile.Create(path);
        bool added = false;
        try
        {
            Guid slot = await vault.AddKeyFileAsync(secret.Memory, cancellationToken);
            added = true;
            return slot;
        }
        finally
        {
            if (!added)
            {
                KeyFile.Discard(path);
            }
        }
    }

    private void Tell(Guid slot, KeySlotKind kind, string words, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(_host.Output, "summary", writer =>
            {
                writer.WriteString("slot", slot.ToString("N"));
                writer.WriteString("kind", KeyCommand.NameOf(kind));
            });
            return;
        }

        _host.Error.WriteLine(words);
        _host.Output.WriteLine(slot.ToString("N"));
    }
}
