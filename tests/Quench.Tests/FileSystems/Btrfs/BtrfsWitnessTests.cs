using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>Our maps beside what btrfs says, and restored volumes before btrfs check and the kernel.</summary>
/// <remarks>
/// partclone.btrfs 0.3.23 is no witness that could be held to: it leaves out the second copies of DUP and the trees of subvolumes whose deletion goes
/// on, and takes extents up to the end of their stripe. It is asked all the same, and how often it lacks a first copy is counted.
/// </remarks>
public sealed class BtrfsWitnessTests(ITestOutputHelper output)
{
    private readonly RestoreTrial _trial = new(image => RestoreTrial.AskAsync("btrfs", "check", "--readonly", image), ListAsync);
    private int _partcloneLacks;
    private int _partcloneGivesUp;

    [Fact]
    public async Task Generated_file_systems_are_mapped_as_btrfs_maps_them_and_are_whole_when_restored()
    {
        Tool.Require("mkfs.btrfs", "btrfs", "partclone.btrfs", "fallocate");
        Tool.RequireRoot();
        await GeneratedVolumes.HoldAsync(2, output, async (random, number, folder) =>
        {
            BtrfsRecipe recipe = BtrfsRecipe.From(random);
            return await BtrfsMaker.TryMakeAsync(recipe, folder["made.img"]) ? ($"{recipe}", await DifferencesAsync(folder["made.img"], number)) : null;
        });
        _trial.Demand(output);
        output.WriteLine($"partclone would have lost blocks of {_partcloneLacks}, and gave up at {_partcloneGivesUp}");
    }

    [Fact]
    public async Task One_that_was_converted_from_ext4_is_mapped_and_restored()
    {
        Tool.Require("mke2fs", "btrfs-convert", "btrfs");
        Tool.RequireRoot();
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "300M", folder["made.img"]);
        await Tool.RunAsync("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", folder["made.img"]);
        await using (LoopMount mount = await LoopMount.MountAsync(folder["made.img"], folder["ext"]))
        {
            FileWork.Do(mount.Folder, new Random(7), 300L << 20);
        }

        await Tool.RunAsync("btrfs-convert", folder["made.img"]);
        Assert.Empty(await DifferencesAsync(folder["made.img"], 0));
        _trial.Demand(output);
    }

    private static async Task<IReadOnlyList<string>> ListAsync(string image, string folder)
    {
        await Tool.TryRunAsync("btrfs", "device", "scan", "--forget"); // the last one had the same id
        return await RestoreTrial.ListMountedAsync(image, folder);
    }

    private async Task<List<string>> DifferencesAsync(string image, int number)
    {
        VolumeAnalysis ours;
        await using (TestVolume volume = TestVolume.OverFile(image, number % 4 == 0 && new FileInfo(image).Length % 4096 == 0 ? 4096 : 512))
        {
            ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        }

        if (ours.Doubt is not null || ours.FileSystem?.State != FileSystemState.Clean)
        {
            return [$"not mapped: {ours.Doubt} ({ours.FileSystem})"];
        }

        List<string> differences = [];
        BtrfsWitness witness = await BtrfsWitness.AskAsync(image);
        Add(differences, "btrfs", MapComparison.Compare(ours.Used, witness.Map()));
        (UsedBlocks? partclone, _) = await Partclone.TryAskAsync("partclone.btrfs", image, ours.FileSystem.BlockSize); // some that were shrunk it gives up at
        _partcloneGivesUp += partclone is null ? 1 : 0;
        _partcloneLacks += partclone is null || HoldsAll(partclone, witness.FirstCopies()) ? 0 : 1;
        await _trial.AddDifferencesAsync(image, ours.Used, new Random(number), differences);
        return differences;
    }

    private static bool HoldsAll(UsedBlocks map, UsedBlocks wanted) =>
        wanted.Bits.SetRuns().All(run => map.Bits.CountSet(run.First, run.Count) == run.Count);

    private static void Add(List<string> differences, string witness, string? difference)
    {
        if (difference is not null)
        {
            differences.Add($"{witness}: {difference}");
        }
    }
}
