using System.Globalization;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;

namespace Quench.SystemTests.PointInTime;

/// <summary>How a round's image comes about, while its writers go on.</summary>
/// <param name="round">The round; its volume is being written.</param>
/// <returns>The last stamp that was issued when the snapshot was there, and a few words for the figures.</returns>
internal delegate Task<(long IssuedAtInstant, string Words)> CaptureAction(Round round);

/// <summary>
/// One round: a volume is stamped throughout; somebody makes an image of it; the image must be the volume after exactly some write, the file
/// system in it sound, and the volume itself right as well.
/// </summary>
internal sealed class Round
{
    private const string FieldName = "stamps";

    private Round(RoundPlan plan, LiveVolume volume, StampWriter writer)
    {
        Plan = plan;
        Volume = volume;
        Writer = writer;
    }

    internal RoundPlan Plan { get; }

    internal LiveVolume Volume { get; }

    internal StampWriter Writer { get; }

    /// <summary>Where the image goes.</summary>
    internal string Image => Path.Combine(Volume.Scratch, "image");

    /// <summary>Runs one from its start to its end.</summary>
    /// <exception cref="InvalidOperationException">It went wrong; the message has the plan, whose seed replays it.</exception>
    internal static async Task RunAsync(RoundPlan plan, CaptureAction capture)
    {
        try
        {
            await using LiveVolume volume = await LiveVolume.CreateAsync(plan.Kind, plan.VolumeLength);
            using StampWriter writer = StartWriter(plan, volume);
            Round round = new(plan, volume, writer);
            await round.RunAsync(capture);
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"QUENCH_SEED={plan.Seed} QUENCH_ROUNDS=1 replays it: {plan}\n{failure.Message}", failure);
        }
    }

    private static StampWriter StartWriter(RoundPlan plan, LiveVolume volume)
    {
        StampField field = new((ulong)plan.Seed, plan.FieldBlocks);
        return plan.Kind == VolumeKind.Raw
            ? StampWriter.OnDevice(volume.Device, field)
            : StampWriter.OnNewFile(Path.Combine(volume.MountPoint, FieldName), field, plan.FieldIsWritten);
    }

    private async Task RunAsync(CaptureAction capture)
    {
        await using BusyWriter? busy = Plan.BusyBlocks > 0 ? new BusyWriter(Volume.MountPoint, Plan.BusyBlocks, new Random(Plan.Seed)) : null;
        await Writer.MoreAsync(Plan.StampsBefore);
        long durableBefore = Writer.Acknowledged;
        (long issuedAtInstant, string words) = await capture(this);
        long durableAfter = Writer.Acknowledged;
        if (busy is not null)
        {
            await busy.StopAsync();
        }

        Writer.Stop();
        StampVerdict image = await CheckImageAsync(busy);
        image.Demand(durableBefore, issuedAtInstant, "the image");
        StampVerdict live = await CheckVolumeAsync(busy);
        live.Demand(Writer.Acknowledged, Writer.Acknowledged, "the volume");
        Figures.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"seed {Plan.Seed}: {Plan.Kind}, image after stamp {image.Last} of [{durableBefore}, {issuedAtInstant}], {durableAfter - image.Last} stamped over it meanwhile; {words}"));
    }

    private async Task<StampVerdict> CheckImageAsync(BusyWriter? busy)
    {
        if (Plan.Kind == VolumeKind.Raw)
        {
            return StampChecker.Check(Writer.Field, Image);
        }

        string mountPoint = Directory.CreateDirectory(Path.Combine(Volume.Scratch, "image-mount")).FullName;
        if (!Plan.Freeze || Plan.Kind == VolumeKind.Xfs) // XFS leaves its log to be read even when it is frozen
        {
            await RestoredImage.ReplayJournalAsync(Image, Plan.Kind, mountPoint);
        }

        await RestoredImage.DemandCleanAsync(Image, Plan.Kind);
        await using RestoredImage inside = await RestoredImage.MountAsync(Image, Plan.Kind, mountPoint);
        if (busy is not null && File.Exists(inside["busy"]))
        {
            busy.DemandWhole(mountPoint, "the busy file in the image");
        }

        return StampChecker.Check(Writer.Field, inside[FieldName]);
    }

    /// <summary>Reads the live volume back from below: unmounted and mounted again, so that no cache of the writer's answers.</summary>
    private async Task<StampVerdict> CheckVolumeAsync(BusyWriter? busy)
    {
        if (Plan.Kind == VolumeKind.Raw)
        {
            return StampChecker.Check(Writer.Field, Volume.Device);
        }

        await Volume.UnmountAsync();
        await RestoredImage.DemandCleanAsync(Volume.Device, Plan.Kind);
        await Volume.MountAsync("ro");
        busy?.DemandWhole(Volume.MountPoint, "the busy file on the volume");
        return StampChecker.Check(Writer.Field, Path.Combine(Volume.MountPoint, FieldName));
    }
}
