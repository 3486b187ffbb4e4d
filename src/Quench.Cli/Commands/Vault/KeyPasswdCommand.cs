using System.CommandLine;
using Quench.Cli.Output;
using Quench.Cli.Secrets;

namespace Quench.Cli.Commands;

/// <summary>quench vault key passwd: a new password in an old one's place.</summary>
internal static class KeyPasswdCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string?> name = new("SLOT")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "The slot of the password to change; the one that opens the vault now, or the only password, when not given.",
        };
        Option<string?> vault = CommonOptions.Vault();
        Option<bool> json = CommonOptions.Json();
        Command command = new("passwd", HelpText.Of("vault-key-passwd")) { name, vault, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            Guid? old = parsed.GetValue(name) is { } prefix ? (await open.Vault.FindKeyAsync(prefix, cancellationToken)).Id : null;
            using Secret password = await PasswordSource.GetNewAsync(host, cancellationToken);
            (Guid added, Guid replaced) = await open.Vault.ChangePasswordAsync(old, password.Bytes, host.PasswordCost, cancellationToken);
            Tell(host, added, replaced, parsed.GetValue(json));
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Tell(CliHost host, Guid added, Guid replaced, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(host.Output, "summary", writer =>
            {
                writer.WriteString("slot", added.ToString("N"));
                writer.WriteString("replaced", replaced.ToString("N"));
            });
            return;
        }

        host.Error.WriteLine("the new password opens the vault from now on, the old one does not; an old copy of the vault still opens with the old one");
        host.Output.WriteLine(added.ToString("N"));
    }
}
