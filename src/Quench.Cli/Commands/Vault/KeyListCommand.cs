using System.CommandLine;
using Quench.Cli.Output;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault key list: the ways into a vault, sound or not.</summary>
internal static class KeyListCommand
{
    public static Command Make(CliHost host)
    {
        Option<string?> vault = CommonOptions.Vault();
        Option<bool> json = CommonOptions.Json();
        Command command = new("list", HelpText.Of("vault-key-list")) { vault, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            IReadOnlyList<KeySlotInfo> slots = await open.Vault.ListKeysAsync(cancellationToken);
            if (parsed.GetValue(json))
            {
                WriteJson(host.Output, slots);
            }
            else
            {
                WriteTable(host.Output, slots);
            }

            return ExitCodes.Done;
        });
        return command;
    }

    private static void WriteTable(TextWriter output, IReadOnlyList<KeySlotInfo> slots)
    {
        TextTable table = new("SLOT", "OPENED BY", "A GUESS COSTS", "USED NOW", "NOTE");
        foreach (KeySlotInfo slot in slots)
        {
            table.Add(slot.ShortId, KeyCommand.Describe(slot.Kind), KeyCommand.Describe(slot.Cost), slot.OpenedThis ? "yes" : "", slot.Note ?? "");
        }

        table.WriteTo(output);
    }

    private static void WriteJson(TextWriter output, IReadOnlyList<KeySlotInfo> slots) => JsonLine.Write(output, writer =>
    {
        writer.WriteStartArray();
        foreach (KeySlotInfo slot in slots)
        {
            writer.WriteStartObject();
            writer.WriteString("slot", slot.Id.ToString("N"));
            writer.WriteString("kind", KeyCommand.NameOf(slot.Kind));
            writer.WriteBoolean("used_now", slot.OpenedThis);
            writer.WriteBoolean("usable", slot.IsUsable);
            if (slot.Cost is { } cost)
            {
                writer.WriteNumber("memory_bytes", cost.MemoryKibibytes * 1024L);
                writer.WriteNumber("passes", cost.Passes);
                writer.WriteNumber("lanes", cost.Lanes);
            }

            writer.WriteString("note", slot.Note);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });
}
