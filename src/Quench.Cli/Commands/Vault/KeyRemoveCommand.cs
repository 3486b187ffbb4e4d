using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault key remove: takes a way into a vault away.</summary>
internal static class KeyRemoveCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> name = new("SLOT") { Description = "The first digits of the slot's id, as `quench vault key list` shows it." };
        Option<string?> vault = CommonOptions.Vault();
        Option<bool> yes = new("--yes", "-y") { Description = "Remove it without asking, even if it is the key that opens the vault now." };
        Option<bool> json = CommonOptions.Json();
        Command command = new("remove", HelpText.Of("vault-key-remove")) { name, vault, yes, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            KeySlotInfo slot = await open.Vault.FindKeyAsync(parsed.GetValue(name)!, cancellationToken);
            IReadOnlyList<KeySlotInfo> others = [.. (await open.Vault.ListKeysAsync(cancellationToken)).Where(other => other.Id != slot.Id && other.IsUsable)];
            DemandAnotherKey(slot, others, parsed.GetValue(yes));
            ShowPlan(host, slot, others);
            Consent.Demand(host, parsed.GetValue(yes), $"{Named(slot)} will not open the vault any more.", $"remove {Named(slot)}");
            await open.Vault.RemoveKeyAsync(slot.Id, cancellationToken);
            Tell(host, slot, parsed.GetValue(json));
            return ExitCodes.Done;
        });
        return command;
    }

    /// <summary>The key in use is the only one that its user has shown to have: the others may be lost.</summary>
    private static void DemandAnotherKey(KeySlotInfo slot, IReadOnlyList<KeySlotInfo> others, bool yes)
    {
        if (slot.OpenedThis && !yes && others.Count > 0)
        {
            throw new QuenchException(
                "CLI-113", $"{Named(slot)} is the one that has just opened the vault, and nothing shows that you have another",
                "open the vault with another key to remove this one, or say --yes if you are sure")
            {
                Effect = "nothing was removed",
                ExitCode = ExitCodes.Usage,
            };
        }
    }

    private static void ShowPlan(CliHost host, KeySlotInfo slot, IReadOnlyList<KeySlotInfo> others)
    {
        host.Error.WriteLine($"remove  {Named(slot)}{(slot.Note is { } note ? $" ({note})" : "")}");
        foreach (KeySlotInfo other in others)
        {
            host.Error.WriteLine($"stays   {Named(other)}{(other.OpenedThis ? ", which opens the vault now" : "")}");
        }
    }

    private static void Tell(CliHost host, KeySlotInfo slot, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(host.Output, "summary", writer =>
            {
                writer.WriteString("removed", slot.Id.ToString("N"));
                writer.WriteString("kind", KeyCommand.NameOf(slot.Kind));
            });
            return;
        }

        host.Error.WriteLine($"removed {Named(slot)}; an old copy of the vault still opens with it");
    }

    private static string Named(KeySlotInfo slot) => $"{KeyCommand.Describe(slot.Kind)} {slot.ShortId}";
}
