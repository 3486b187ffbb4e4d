using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Quench.Blocks;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>What a round showed.</summary>
/// <param name="Plan">The round.</param>
/// <param name="IsRefused">It was written faster than it was read: said with the numbers, and no point made.</param>
/// <param name="Passes">How often the volume was copied, the last pass under the freeze included.</param>
/// <param name="FreezeMilliseconds">How long writers were held; null where the whole device was read meanwhile.</param>
internal sealed record TrackedFigures(TrackedRoundPlan Plan, bool IsRefused, int Passes, double? FreezeMilliseconds);

/// <summary>What a backup made.</summary>
/// <param name="Point">The point's id.</param>
/// <param name="Freeze">How long writers were held, where that says something.</param>
/// <param name="Scan">How the volume was read.</param>
/// <param name="Reason">Why so, and in how many passes.</param>
internal sealed record TrackedPoint(string Point, double? Freeze, string Scan, string Reason);

/// <summary>
/// One round: a mounted volume that nobody prepared is stamped and loaded throughout; it is backed up; its restored image must be the volume after exactly some write, the file system in it
/// sound, and a database in it whole.
/// </summary>
internal sealed partial class TrackedRound
{
    private const string FieldName = "stamps";
    private const string Refusal = "SNAP-184";

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
            if (await BackUpAsync() is null)
            {
                return await RefusedAsync(load, stamps, points: 0);
            }

            await stamps.MoreAsync(_plan.StampsBefore);
        }

        (long durableBefore, long committedBefore) = (stamps.Acknowledged, load.Committed);
        if ((_plan.IsWitnessed ? await CaptureWitnessedAsync() : await BackUpAsync()) is not { } made)
        {
            return await RefusedAsync(load, stamps, points: _plan.Follows ? 1 : 0);
        }

        long issuedAfter = stamps.Issued;
        await load.DemandRunningAsync();
        long committedAfter = load.Committed;
        await load.StopAsync();
        stamps.Stop();
        await _cli.RunAsync("restore", made.Point, Image, "--yes");
        await _loop.UnmountAsync();
        (StampVerdict verdict, string transactions) = await CheckImageAsync(field, load, committedBefore, committedAfter);
        bool isDoubtSaid = made.Reason.Contains("may have been missed", StringComparison.Ordinal) || made.Reason.Contains("the kernel left the tracker out", StringComparison.Ordinal); // one run interrupted another
        Assert.True(made.Scan == (_plan.Follows ? "changes" : "full") || isDoubtSaid, $"{made}");
        verdict.Demand(durableBefore, issuedAfter, "the image");
        (int passes, string again) = Read(made.Reason);
        Figures.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{_plan.ToWords()} freeze_ms={made.Freeze:0.0} passes={passes} again=\"{again}\" stamp={verdict.Last} of=[{durableBefore},{issuedAfter}]{transactions} witnessed={_plan.IsWitnessed} scan={made.Scan} reason=\"{made.Reason}\""));
        return new TrackedFigures(_plan, IsRefused: false, passes, made.Freeze);
    }

    /// <summary>A plain refusal: nothing was stored, and the volume goes on.</summary>
    private async Task<TrackedFigures> RefusedAsync(RoundLoad load, StampWriter stamps, int points)
    {
        await stamps.MoreAsync(1);
        await load.DemandRunningAsync();
        await load.StopAsync();
        stamps.Stop();
        Assert.Equal(points, await _cli.CountPointsAsync());
        Figures.Say($"{_plan.ToWords()} refused");
        return new TrackedFigures(_plan, IsRefused: true, 0, null);
    }

    /// <summary>Backs up as a user does; null when that is refused because it is written too fast.</summary>
    private async Task<TrackedPoint?> BackUpAsync()
    {
        ProcessResult result = await _cli.TryRunAsync("backup", _plan.ByDevice ? _loop.Device : _loop.MountPoint, "--json");
        if (result.ExitCode == 1 && result.Error.Contains($"code: {Refusal}", StringComparison.Ordinal))
        {
            return null;
        }

        Assert.True(result.ExitCode == 0, result.ToString());
        using JsonDocument document = JsonDocument.Parse(result.Output.TrimEnd('\n').Split('\n')[^1]);
        JsonElement summary = document.RootElement;
        Assert.Equal(("tracked", "file-system"), (summary.GetProperty("provider").GetString(), summary.GetProperty("grade").GetString()));
        return new TrackedPoint(
            summary.GetProperty("point").GetString()!, summary.GetProperty("freeze_ms").GetDouble(), summary.GetProperty("scan").GetString()!, summary.GetProperty("scan_reason").GetString()!);
    }

    private async Task<TrackedPoint?> CaptureWitnessedAsync()
    {
        byte[] password = Encoding.UTF8.GetBytes(_cli.Password!);
        await using BackupVault vault = await BackupVault.OpenAsync(new LocalDirectory(_cli.Vault!), password, TimeProvider.System, CancellationToken.None);
        try
        {
            RecoveryPoint point = await FrozenWitness.CaptureAsync(_loop, vault);
            ScanRecord scan = point.Volumes[0].Scan!;
            return new TrackedPoint(point.Id.ToString("N"), null, scan.Kind, scan.Reason!);
        }
        catch (QuenchException failure) when (failure.Code == Refusal)
        {
            return null;
        }
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
