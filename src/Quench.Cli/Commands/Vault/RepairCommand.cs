using System.CommandLine;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault repair: heals what has rotted.</summary>
internal sealed class RepairCommand
{
    private readonly CliHost _host;
    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Say what would be healed, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Heal without asking." };
    private readonly Option<string?> _from = new("--from") { HelpName = "DIR", Description = "Another vault that may hold good copies, of the same password." };
    private readonly Option<string?> _fromSource = new("--from-source") { HelpName = "PATH", Description = "The device or image file that was imaged; only read." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private RepairCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        RepairCommand repair = new(host);
        Command command = new("repair", HelpText.Of("vault-repair"))
        {
            repair._vault, repair._dryRun, repair._yes, repair._from, repair._fromSource, repair._json,
        };
        command.Run(host, repair.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        await using OpenVault open = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        await using CopySources copies = await OpenCopiesAsync(parsed, cancellationToken);
        bool json = parsed.GetValue(_json);
        bool dryRun = parsed.GetValue(_dryRun);
        if (dryRun || !parsed.GetValue(_yes))
        {
            RepairReport plan = await RepairAsync(open.Vault, new RepairOptions { DryRun = true, Copies = copies.All }, json, cancellationToken);
            if (dryRun)
            {
                Tell(plan, json, wouldBe: true);
                return plan.IsSound ? ExitCodes.Done : ExitCodes.Mismatch;
            }

            if (plan.ChangesAnything)
            {
                Write(_host.Error, plan, wouldBe: true);
                Consent.Demand(
                    _host, yes: false, $"The damaged files in {open.Location} will be replaced, and set aside.", $"replace damaged files in {open.Location}");
            }
        }

        RepairReport report = await RepairAsync(open.Vault, new RepairOptions { Copies = copies.All }, json, cancellationToken);
        Tell(report, json, wouldBe: false);
        return report.IsSound ? ExitCodes.Done : ExitCodes.Mismatch;
    }

    private async Task<CopySources> OpenCopiesAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        CopySources copies = new();
        try
        {
            if (parsed.GetValue(_from) is { } other)
            {
                await copies.AddVaultAsync(await OpenVault.OpenAtAsync(parsed, Path.GetFullPath(other), _host, cancellationToken), cancellationToken);
            }

            if (parsed.GetValue(_fromSource) is { } source)
            {
                copies.AddVolume(source);
            }

            return copies;
        }
        catch
        {
            await copies.DisposeAsync();
            throw;
        }
    }

    private async Task<RepairReport> RepairAsync(BackupVault vault, RepairOptions options, bool json, CancellationToken cancellationToken)
    {
        ActivityMonitor activity = new(_host.Clock);
        activity.Begin(JobPhase.Verifying, 0);
        await using ProgressDisplay display = new(_host, activity, json);
        return await vault.RepairAsync(options, new Relay(activity), cancellationToken);
    }

    private void Tell(RepairReport report, bool json, bool wouldBe)
    {
        if (json)
        {
            WriteJson(report, wouldBe);
            return;
        }

        Write(_host.Output, report, wouldBe);
        string looked = $"{report.Packs} packs looked at, {report.Healed.Count} {(wouldBe ? "would be" : "were")} healed, parity of {report.ParityMade} made again";
        _host.Error.WriteLine(report.IsSound ? $"nothing is left to heal: {looked}" : $"{report.Unhealed.Count} pieces of damage are left: {looked}");
    }

    private static void Write(TextWriter output, RepairReport report, bool wouldBe)
    {
        string verb = wouldBe ? "would be healed" : "healed";
        foreach (HealedPack pack in report.Healed)
        {
            string rest = pack.StillMissing > 0 ? $"; {pack.StillMissing} chunks are still missing" : "";
            output.WriteLine(pack.ByParity
                ? $"{pack.Pack} {verb} by its parity, to the byte"
                : $"{pack.Pack} {verb}: {pack.Chunks} chunks from {string.Join(", ", pack.From)}{rest}");
        }

        foreach (string root in report.RootsRestored)
        {
            output.WriteLine($"{root} {(wouldBe ? "would be put" : "put")} back from its copy");
        }

        if (report.CopiesMade > 0)
        {
            output.WriteLine($"second copies of {report.CopiesMade} small objects {(wouldBe ? "would be made" : "made")}");
        }

        if (report.ParityMade > 0)
        {
            output.WriteLine($"parity of {report.ParityMade} packs {(wouldBe ? "would be made" : "made")} again");
        }

        foreach (VaultDamage damage in report.Unhealed)
        {
            output.WriteLine("not healed: " + DamageText.Describe(damage));
        }
    }

    private void WriteJson(RepairReport report, bool wouldBe) => JsonLine.WriteMessage(_host.Output, "summary", writer =>
    {
        writer.WriteBoolean("dry_run", wouldBe);
        writer.WriteBoolean("sound", report.IsSound);
        writer.WriteNumber("packs", report.Packs);
        writer.WriteNumber("parity_made", report.ParityMade);
        writer.WriteNumber("copies_made", report.CopiesMade);
        writer.WriteStartArray("roots_restored");
        foreach (string root in report.RootsRestored)
        {
            writer.WriteStringValue(root);
        }

        writer.WriteEndArray();
        writer.WriteStartArray("healed");
        foreach (HealedPack pack in report.Healed)
        {
            writer.WriteStartObject();
            writer.WriteString("pack", pack.Pack);
            writer.WriteBoolean("by_parity", pack.ByParity);
            writer.WriteNumber("chunks", pack.Chunks);
            writer.WriteNumber("still_missing", pack.StillMissing);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        DamageText.WriteJson(writer, "unhealed", report.Unhealed);
    });

    /// <summary>The places that were named on the command line, open.</summary>
    private sealed class CopySources : IAsyncDisposable
    {
        private readonly List<IAsyncDisposable> _open = [];

        public List<GoodCopy> All { get; } = [];

        /// <summary>Every image in a vault, the newest first, for volumes of the same name or file system.</summary>
        public async Task AddVaultAsync(OpenVault other, CancellationToken cancellationToken)
        {
            _open.Add(other);
            foreach (RecoveryPoint point in (await other.Vault.ListPointsAsync(cancellationToken)).Reverse())
            {
                foreach (VolumeRecord volume in point.Volumes)
                {
                    IBlockReader image = other.Vault.OpenImage(volume);
                    All.Add(new GoodCopy($"point {point.ShortId} in {other.Location}", image)
                    {
                        Fits = damaged => damaged.Name == volume.Name || (damaged.Uuid.Length > 0 && damaged.Uuid == volume.Uuid),
                    });
                }
            }
        }

        public void AddVolume(string path)
        {
            Disk disk = Disk.Open(path, DeviceAccess.Read, exclusive: false);
            _open.Add(disk);
            All.Add(new GoodCopy(path, disk));
        }

        public async ValueTask DisposeAsync()
        {
            foreach (IAsyncDisposable open in _open)
            {
                await open.DisposeAsync();
            }
        }
    }

    private sealed class Relay(ActivityMonitor activity) : IProgress<VerifyProgress>
    {
        public void Report(VerifyProgress value) =>
            activity.Set(value.DoneBytes, value.Done > 0 ? (long)((double)value.DoneBytes / value.Done * value.Total) : 0);
    }
}
