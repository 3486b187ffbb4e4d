using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>What a round showed.</summary>
/// <param name="Plan">The round.</param>
/// <param name="Passes">How often the volume was copied, the last pass under the freeze included.</param>
/// <param name="Again">How much of it was read more than once, in words.</param>
/// <param name="FreezeMilliseconds">How long writers were held; null where the whole device was read meanwhile.</param>
internal sealed record TrackedFigures(TrackedRoundPlan Plan, int Passes, string Again, double? FreezeMilliseconds);

/// <summary>
/// One round: a mounted volume that nobody prepared is stamped and loaded throughout; it is backed up; its restored image must be the volume after exactly some write, the file system in it
/// sound, and a database in it whole.
/// </summary>
internal sealed partial class TrackedRound
{
    private const string FieldName = "stamps";

    private readonly TrackedRoundPlan _plan;
    private readonly MountedLoop _loop;
    private readonly QuenchCli _cli;

    private TrackedRound(TrackedRoundPlan plan, MountedLoop loop, QuenchCli cli) => (_plan, _loop, _cli) = (plan, loop, cli);

    private string Image => Path.Combine(_loop.Scratch, "image");

    /// <summary>Runs one from its start to its end.</summary>
    /// <exception cref="InvalidOperationException">It went wrong; the message has the plan, whose seed replays it.</exception>
    internal static async Task<TrackedFigures> RunAsync(TrackedRoundPlan plan, QuenchCli cli)
    {
        try
        {
            await using MountedLoop loop = await MountedLoop.CreateAsync(plan.Kind, plan.VolumeLength, plan.MountOptions);
            return await new TrackedRound(plan, loop, cli).RunAsync();
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            throw new InvalidOperationException($"QUENCH_SEED={plan.Seed} QUENCH_ROUNDS=1 replays it: {plan}\n{failure.Message}", failure);
        }
    }

    private async Task<TrackedFigures> RunAsync()
    {
        StampField field = new((ulong)_plan.Seed, _plan.FieldBlocks);
        using StampWriter stamps = StampWriter.OnNewFile(Path.Combine(_loop.MountPoint, FieldName), field, _plan.FieldIsWritten);
        await using RoundLoad load = await RoundLoad.StartAsync(_plan, _loop);
        await stamps.MoreAsync(_plan.StampsBefore);
        if (_plan.Follows)
        {
            await BackUpAsync();
            await stamps.MoreAsync(_plan.StampsBefore);
        }

        (long durableBefore, long committedBefore) = (stamps.Acknowledged, load.Committed);
        (string point, double? freeze, string scan, string reason) = _plan.IsWitnessed ? await CaptureWitnessedAsync() : await BackUpAsync();
        long issuedAfter = stamps.Issued;
        await load.DemandRunningAsync();
        long committedAfter = load.Committed;
        await load.StopAsync();
        stamps.Stop();
        await _cli.RunAsync("restore", point, Image, "--yes");
        await _loop.UnmountAsync();
        (StampVerdict verdict, string transactions) = await CheckImageAsync(field, load, committedBefore, committedAfter);
        Assert.True(scan == (_plan.Follows ? "changes" : "full") || reason.Contains("may have been missed", StringComparison.Ordinal), $"{scan}: {reason}");
        verdict.Demand(durableBefore, issuedAfter, "the image");
        (int passes, string again) = Read(reason);
        Figures.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{_plan.ToWords()} freeze_ms={freeze:0.0} passes={passes} again=\"{again}\" stamp={verdict.Last} of=[{durableBefore},{issuedAfter}]{transactions} witnessed={_plan.IsWitnessed} scan={scan} reason=\"{reason}\""));
        return new TrackedFigures(_plan, passes, again, freeze);
    }

    private async Task<(string Point, double? Freeze, string Scan, string Reason)> BackUpAsync()
    {
        JsonElement summary = await _cli.BackupAsync(_plan.ByDevice ? _loop.Device : _loop.MountPoint);
        Assert.Equal(("tracked", "file-system"), (summary.GetProperty("provider").GetString(), summary.GetProperty("grade").GetString()));
        return (summary.GetProperty("point").GetString()!, summary.GetProperty("freeze_ms").GetDouble(), summary.GetProperty("scan").GetString()!, summary.GetProperty("scan_reason").GetString()!);
    }

    private async Task<(string Point, double? Freeze, string Scan, string Reason)> CaptureWitnessedAsync()
    {
        byte[] password = System.Text.Encoding.UTF8.GetBytes(_cli.Password!);
        await using BackupVault vault = await BackupVault.OpenAsync(new LocalDirectory(_cli.Vault!), password, TimeProvider.System, CancellationToken.None);
        RecoveryPoint point = await FrozenWitness.CaptureAsync(_loop, vault);
        ScanRecord scan = point.Volumes[0].Scan!;
        return (point.Id.ToString("N"), null, scan.Kind, scan.Reason!);
    }

    private async Task<(StampVerdict Verdict, string Transactions)> CheckImageAsync(StampField field, RoundLoad load, long committedBefore, long committedAfter)
    {
        string mountPoint = Directory.CreateDirectory(Path.Combine(_loop.Scratch, "image-mount")).FullName;
        if (_plan.Kind == VolumeKind.Xfs) // XFS leaves its log to be read even when it is frozen
        {
            await RestoredImage.ReplayJournalAsync(Image, _plan.Kind, mountPoint);
        }

        await RestoredImage.DemandCleanAsync(Image, _plan.Kind);
        await using RestoredImage inside = await RestoredImage.MountAsync(Image, _plan.Kind, mountPoint);
        string transactions = await load.CheckAsync(mountPoint, _loop.Scratch, committedBefore, committedAfter);
        return (StampChecker.Check(field, inside[FieldName]), transactions);
    }

    private static (int Passes, string Again) Read(string reason)
    {
        Match match = Words().Match(reason);
        Assert.True(match.Success, reason);
        return (int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), match.Groups[2].Value);
    }

    [GeneratedRegex("in ([0-9]+) passes while it was written, (.*?) of it again")]
    private static partial Regex Words();
}
