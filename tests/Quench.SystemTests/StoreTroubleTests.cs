using System.Globalization;
using Quench.Blocks;
using Quench.Snapshots.Store;
using Quench.SystemTests.DiffAreaTrouble;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// Whatever becomes of the disk that persistent snapshots are kept on (slow, failing, full, silent, unplugged), production sees no error and no stall, and the snapshots that
/// suffer say why. QUENCH_STORE_TROUBLES says how many rounds of each kind.
/// </summary>
public sealed class StoreTroubleTests
{
    private const int MiB = 1 << 20;
    private const int FieldBlocks = 4096;  // 16 MiB
    private const long DiskLength = 96L * MiB;
    private const int WritesBefore = 1500;
    private const int WritesAfter = 3500;  // many times what the ring holds

    private static readonly string[] s_kinds = [nameof(DiskMood.Slow), nameof(DiskMood.Failing), nameof(DiskMood.Full), nameof(DiskMood.Silent), "Unplugged"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Trouble_with_the_stores_disk_reaches_no_write_and_the_snapshots_say_why_they_are_gone()
    {
        Requires.LiveVolumes();
        int rounds = Chance.Count("QUENCH_STORE_TROUBLES", 1);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 20L * MiB);
        using TimedWriter writer = new(volume.Device, new StampField(0x570E, FieldBlocks));
        await writer.WriteAsync(FieldBlocks);
        writer.TakeTimes();
        List<double> sound = [];
        List<double> troubled = [];
        for (int round = 0; round < rounds; round++)
        {
            foreach (string kind in s_kinds)
            {
                await RunAsync(volume, writer, kind, sound, troubled);
            }
        }

        await writer.WriteAsync(0);
        StampChecker.Check(writer.Field, volume.Device).Demand(writer.Written, writer.Written, "the volume");
        double healthy = Figures.Percentile(sound, 0.99);
        double suffering = Figures.Percentile(troubled, 0.99);
        Figures.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{rounds * s_kinds.Length} rounds: writes p50 {Figures.Percentile(sound, 0.5):0.000} and {Figures.Percentile(troubled, 0.5):0.000} ms, p99 {healthy:0.000} and {suffering:0.000} ms, longest {sound.Max():0} and {troubled.Max():0} ms, sound and in trouble"));
        Assert.True(suffering <= 2 * healthy, $"p99 of production's writes: {suffering:0.000} ms in trouble, {healthy:0.000} ms with a sound store");
        Assert.True(troubled.Max() < 1000, $"a write took {troubled.Max():0} ms");
    }

    private static async Task RunAsync(LiveVolume volume, TimedWriter writer, string kind, List<double> sound, List<double> troubled)
    {
        await using FaultyFolder folder = await FaultyFolder.MakeAsync(DiskLength);
        try
        {
            KeepOptions first = new() { StoreFolder = folder.Path, StoreBytes = 40 * MiB, Freeze = false };
            KeptSnapshot one = Assert.Single(await PersistentSnapshots.CreateAsync([volume.Attached], first, TimeProvider.System, Token));
            await writer.WriteAsync(WritesBefore);
            sound.AddRange(writer.TakeTimes());
            KeptSnapshot two = Assert.Single(await PersistentSnapshots.CreateAsync([volume.Attached], new KeepOptions { Freeze = false }, TimeProvider.System, Token));
            Begin(folder, kind);
            await writer.WriteAsync(WritesAfter);
            troubled.AddRange(writer.TakeTimes());
            writer.ThrowIfFailed();
            string reason = "";
            await Wait.UntilAsync(() => IsGone(volume, two.Number, out reason), TimeSpan.FromSeconds(15), $"{kind}: the snapshot is dropped");
            Assert.Matches(kind is nameof(DiskMood.Slow) or nameof(DiskMood.Silent) ? "slow" : "could not be kept", reason);
            Assert.Throws<QuenchException>(() => PersistentSnapshots.Expose(volume.Attached, two.Number));
            Figures.Say($"{kind}: {reason}");
            folder.Become(DiskMood.Sound);
            PersistentSnapshots.Delete(volume.Attached, one.Number);
            PersistentSnapshots.Delete(volume.Attached, two.Number);
        }
        finally
        {
            folder.Become(DiskMood.Sound);
        }
    }

    private static bool IsGone(LiveVolume volume, uint number, out string reason)
    {
        reason = PersistentSnapshots.Find(volume.Attached, number.ToString(CultureInfo.InvariantCulture)).Gone ?? "";
        return reason.Length > 0;
    }

    private static void Begin(FaultyFolder folder, string kind)
    {
        if (Enum.TryParse(kind, out DiskMood mood))
        {
            folder.Become(mood);
        }
        else
        {
            folder.Unplug();
        }
    }
}
