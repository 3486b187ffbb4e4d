using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Imaging.Recovery;
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
            Description = "listed: everything is there. structure: everything opens. data: every chunk is read and hashed again (the default). restored: besides, every volume is read back as a restore does it.",
            DefaultValueFactory = _ => VerifyLevel.Data,
            HelpName = "LEVEL",
        };
        Option<string?> part = new("--part") { HelpName = "I/N", Description = "Only the I-th of N parts of the packs: N runs, one a day say, look at all of them." };
        Option<bool> noRecord = new("--no-record") { Description = "Don't remember in the vault what was verified." };
        Option<bool> json = CommonOptions.Json();
        Command command = new("verify", HelpText.Of("verify")) { name, vault, level, part, noRecord, json };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            await using OpenVault open = await OpenVault.OpenAsync(parsed, vault, host, cancellationToken);
            RecoveryPoint? point = parsed.GetValue(name) is { } wanted ? await open.FindAsync(wanted, cancellationToken) : null;
            VerifyRequest request = new() { Point = point, Level = parsed.GetValue(level), Part = PartFrom(parsed.GetValue(part)) };
            VerifyReport report = await VerifyAsync(host, open.Vault, request, parsed.GetValue(json), cancellationToken);
            if (!parsed.GetValue(noRecord))
            {
                await RecordAsync(host, open.Vault, report, cancellationToken);
            }

            Tell(host, report, parsed.GetValue(json));
            return report.IsSound ? ExitCodes.Done : ExitCodes.Mismatch;
        });
        return command;
    }

    private static VerifyPart? PartFrom(string? text) => text is null ? null
        : VerifyPart.TryParse(text, out VerifyPart part) ? part
        : throw new QuenchException("CLI-111", $"\"{text}\" is no part", "write it as 1/30: the first of thirty") { ExitCode = ExitCodes.Usage };

    private static async Task<VerifyReport> VerifyAsync(
        CliHost host, BackupVault vault, VerifyRequest request, bool json, CancellationToken cancellationToken)
    {
        ActivityMonitor activity = new(host.Clock);
        activity.Begin(JobPhase.Verifying, 0);
        await using ProgressDisplay display = new(host, activity, json);
        VerifyReport report = await vault.VerifyAsync(request, new Relay(activity), cancellationToken);
        if (request.Level < VerifyLevel.Restored)
        {
            return report;
        }

        IReadOnlyList<RecoveryPoint> points = request.Point is { } only ? [only] : await vault.ListPointsAsync(cancellationToken);
        return report with { Damage = [.. report.Damage, .. await RestoreCheck.RunAsync(vault, points, activity, cancellationToken)] };
    }

    /// <summary>What was found stands whether or not it could be remembered.</summary>
    private static async Task RecordAsync(CliHost host, BackupVault vault, VerifyReport report, CancellationToken cancellationToken)
    {
        try
        {
            await vault.RecordCheckAsync(report, cancellationToken);
        }
        catch (QuenchException failure)
        {
            host.Error.WriteLine($"the vault could not be told that it was verified: {failure.Message}");
        }
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
            host.Output.WriteLine(DamageText.Describe(damage));
        }

        string looked = $"{report.Points} points, {report.Packs} packs, {report.Chunks} chunks, {ByteSize.Format(report.ReadBytes)} hashed again";
        if (report.WithoutCopy.Count > 0)
        {
            host.Error.WriteLine($"{report.WithoutCopy.Count} of the objects that are to be kept twice have no second copy; a repair makes them");
        }

        host.Error.WriteLine(report.IsSound ? $"no damage: {looked}" : $"{report.Damage.Count} pieces of damage: {looked}");
    }

    private static void WriteJson(TextWriter output, VerifyReport report) => JsonLine.WriteMessage(output, "summary", writer =>
    {
        writer.WriteBoolean("sound", report.IsSound);
        writer.WriteString("level", DamageText.NameOf(report.Level));
        writer.WriteNumber("points", report.Points);
        writer.WriteNumber("packs", report.Packs);
        writer.WriteNumber("chunks", report.Chunks);
        writer.WriteNumber("read_bytes", report.ReadBytes);
        writer.WriteNumber("without_copy", report.WithoutCopy.Count);
        DamageText.WriteJson(writer, "damage", report.Damage);
        DamageText.WriteHurt(writer, report.Hurt);
        writer.WriteString("part", report.Part?.ToString());
    });

    /// <summary>Passes the vault's own progress on, on the thread that reports it. It counts chunks; the bytes to come are estimated from them.</summary>
    private sealed class Relay(ActivityMonitor activity) : IProgress<VerifyProgress>
    {
        public void Report(VerifyProgress value) =>
            activity.Set(value.DoneBytes, value.Done > 0 ? (long)((double)value.DoneBytes / value.Done * value.Total) : 0);
    }
}
