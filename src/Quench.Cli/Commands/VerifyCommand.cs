using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench verify: looks for damage in the vault.</summary>
internal static class VerifyCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string?> name = new("POINT") { Arity = ArgumentArity.ZeroOrOne, Description = "The point to verify; the whole vault when not given." };
        Option<string?> vault = CommonOptions.Vault();
        Option<VerifyLevel> level = new("--level")
        {
            Description = "listed: everything is there. structure: everything opens. data: every chunk is read and hashed again (the default).",
            DefaultValueFactory = _ => VerifyLevel.Data,
            HelpName = "LEVEL",
        };
        Option<bool> json = CommonOptions.Json();
        Command command = new("verify", HelpText.Of("verify")) { name, vault, level, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            RecoveryPoint? point = parsed.GetValue(name) is { } wanted ? await open.FindAsync(wanted, cancellationToken) : null;
            VerifyReport report = await VerifyAsync(host, open.Vault, point, parsed.GetValue(level), parsed.GetValue(json), cancellationToken);
            Tell(host, report, parsed.GetValue(json));
            return report.IsSound ? ExitCodes.Done : ExitCodes.Mismatch;
        });
        return command;
    }

    private static async Task<VerifyReport> VerifyAsync(
        CliHost host, BackupVault vault, RecoveryPoint? point, VerifyLevel level, bool json, CancellationToken cancellationToken)
    {
        ActivityMonitor activity = new(host.Clock);
        activity.Begin(JobPhase.Verifying, 0);
        await using ProgressDisplay display = new(host, activity, json);
        return await vault.VerifyAsync(point, level, new Relay(activity), cancellationToken);
    }

    private static void Tell(CliHost host, VerifyReport report, bool json)
    {
        if (json)
        {
            WriteJson(host.Output, report);
            return;
        }

        foreach (VaultDamage damage in report.Damage)
        {
            host.Output.WriteLine(Describe(damage));
        }

        string looked = $"{report.Points} points, {report.Packs} packs, {report.Chunks} chunks, {ByteSize.Format(report.ReadBytes)} hashed again";
        if (report.WithoutCopy.Count > 0)
        {
            host.Error.WriteLine($"{report.WithoutCopy.Count} of the objects that are to be kept twice have no second copy; a repair makes them");
        }

        host.Error.WriteLine(report.IsSound ? $"no damage: {looked}" : $"{report.Damage.Count} pieces of damage: {looked}");
    }

    private static string Describe(VaultDamage damage)
    {
        string point = damage.Point is { } id ? $", point {id.ToString("N")[..8]}" : "";
        string volume = damage.Volume is { } name ? $", volume {name}" : "";
        string range = damage.Range is { } extent ? $", bytes {extent}" : "";
        return damage.What + point + volume + range;
    }

    private static void WriteJson(TextWriter output, VerifyReport report) => JsonLine.WriteMessage(output, "summary", writer =>
    {
        writer.WriteBoolean("sound", report.IsSound);
        writer.WriteString("level", report.Level switch { VerifyLevel.Listed => "listed", VerifyLevel.Structure => "structure", _ => "data" });
        writer.WriteNumber("points", report.Points);
        writer.WriteNumber("packs", report.Packs);
        writer.WriteNumber("chunks", report.Chunks);
        writer.WriteNumber("read_bytes", report.ReadBytes);
        writer.WriteNumber("without_copy", report.WithoutCopy.Count);
        writer.WriteStartArray("damage");
        foreach (VaultDamage damage in report.Damage)
        {
            writer.WriteStartObject();
            writer.WriteString("what", damage.What);
            writer.WriteString("point", damage.Point?.ToString("N"));
            writer.WriteString("volume", damage.Volume);
            writer.WriteString("range", damage.Range?.ToString());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    /// <summary>Passes the vault's own progress on, on the thread that reports it. It counts chunks; the bytes to come are estimated from them.</summary>
    private sealed class Relay(ActivityMonitor activity) : IProgress<VerifyProgress>
    {
        public void Report(VerifyProgress value) =>
            activity.Set(value.DoneBytes, value.Done > 0 ? (long)((double)value.DoneBytes / value.Done * value.Total) : 0);
    }
}
