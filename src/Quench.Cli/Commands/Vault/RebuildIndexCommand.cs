using System.CommandLine;
using System.Text.Json;
using Quench.Cli.Output;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault rebuild-index: makes the index whole again from what the packs say of themselves.</summary>
internal static class RebuildIndexCommand
{
    public static Command Make(CliHost host)
    {
        Option<string?> vault = CommonOptions.Vault();
        Option<bool> json = CommonOptions.Json();
        Command command = new("rebuild-index", HelpText.Of("vault-rebuild-index")) { vault, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            IndexRebuildReport report = await open.Vault.RebuildIndexAsync(parsed.GetValue(json) ? null : new Counting(host), cancellationToken);
            Tell(host, report, parsed.GetValue(json));
            return report.UnreadablePacks.Count == 0 ? ExitCodes.Done : ExitCodes.Mismatch;
        });
        return command;
    }

    private static void Tell(CliHost host, IndexRebuildReport report, bool json)
    {
        if (json)
        {
            JsonLine.WriteMessage(host.Output, "summary", writer => Write(writer, report));
            return;
        }

        Print(host, "wrote", report.Written);
        Print(host, "deleted, because it was damaged and is replaced:", report.Deleted);
        Print(host, "damaged, and kept because packs that it may name can't be read:", report.Kept);
        Print(host, "the directory does not open:", report.UnreadablePacks);
        host.Error.WriteLine(
            $"{report.Packs} packs read; {report.NamedPacks} of them, with {report.NamedChunks} chunks, were in no sound index object and are now; "
            + $"{report.Deleted.Count} damaged index objects replaced");
        if (report.UnreadablePacks.Count > 0)
        {
            host.Error.WriteLine($"{report.UnreadablePacks.Count} packs can't be read: `quench verify` tells what that means for the recovery points");
        }

        if (!report.CacheDropped)
        {
            host.Error.WriteLine("the local cache of the index is in use or can't be deleted; it renews itself when the vault is next opened");
        }
    }

    private static void Print(CliHost host, string what, IReadOnlyList<string> names)
    {
        foreach (string name in names)
        {
            host.Output.WriteLine($"{what} {name}");
        }
    }

    private static void Write(Utf8JsonWriter writer, IndexRebuildReport report)
    {
        writer.WriteNumber("packs", report.Packs);
        writer.WriteNumber("named_packs", report.NamedPacks);
        writer.WriteNumber("named_chunks", report.NamedChunks);
        writer.WriteBoolean("cache_dropped", report.CacheDropped);
        WriteNames(writer, "written", report.Written);
        WriteNames(writer, "deleted", report.Deleted);
        WriteNames(writer, "kept", report.Kept);
        WriteNames(writer, "unreadable_packs", report.UnreadablePacks);
    }

    private static void WriteNames(Utf8JsonWriter writer, string property, IReadOnlyList<string> names)
    {
        writer.WriteStartArray(property);
        foreach (string name in names)
        {
            writer.WriteStringValue(name);
        }

        writer.WriteEndArray();
    }

    /// <summary>Says now and then how far it is: reading the directories of a large vault takes minutes.</summary>
    private sealed class Counting(CliHost host) : IProgress<VerifyProgress>
    {
        private const int Often = 5000;

        public void Report(VerifyProgress value)
        {
            if (value.Done % Often == 0)
            {
                host.Error.WriteLine($"{value.Done} of {value.Total} packs read");
            }
        }
    }
}
