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
    private const long MostRestored = 400L << 20;
    private int _partcloneLacks;

    [Fact]
    public async Task Generated_file_systems_are_mapped_as_btrfs_maps_them_and_are_whole_when_restored()
    {
        Tool.Require("mkfs.btrfs", "btrfs", "partclone.btrfs", "fallocate");
        Tool.RequireRoot();
        int restored = 0;
        await GeneratedVolumes.HoldAsync(2, output, async (random, number, folder) =>
        {
            BtrfsRecipe recipe = BtrfsRecipe.From(random);
            if (await BtrfsMaker.TryMakeAsync(recipe, folder["made.img"]) is not { } listing)
            {
                return null;
            }

            restored += new FileInfo(folder["made.img"]).Length <= MostRestored ? 1 : 0;
            return ($"{recipe}", await DifferencesAsync(folder, listing, number));
        });
        output.WriteLine($"{restored} of them restored over zeros and over random bytes; partclone would have lost blocks of {_partcloneLacks}");
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
        IReadOnlyList<string> listing;
        await using (LoopMount mount = await LoopMount.MountAsync(folder["made.img"], folder["btrfs"], options: "ro"))
        {
            listing = Restored.Listing(mount.Folder);
        }

        Assert.Empty(await DifferencesAsync(folder, listing, 0));
    }

    private async Task<List<string>> DifferencesAsync(TempFolder folder, IReadOnlyList<string> listing, int number)
    {
        string image = folder["made.img"];
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
        UsedBlocks partclone = await Partclone.AskAsync("partclone.btrfs", image, ours.FileSystem.BlockSize);
        _partcloneLacks += HoldsAll(partclone, witness.FirstCopies()) ? 0 : 1;
        if (ours.Used.VolumeLength <= MostRestored)
        {
            await RestoreAsync(folder, ours, listing, filling: null, differences);
            await RestoreAsync(folder, ours, listing, new Random(number), differences);
        }

        return differences;
    }

    private static async Task RestoreAsync(TempFolder folder, VolumeAnalysis ours, IReadOnlyList<string> listing, Random? filling, List<string> differences)
    {
        string over = filling is null ? "zeros" : "random bytes";
        string target = folder["restored.img"];
        await Restored.WriteAsync(folder["made.img"], ours.Used, target, filling);
        (int code, string text, string error) = await Tool.TryRunAsync("btrfs", "check", "--readonly", target);
        Add(differences, $"btrfs check of what was restored over {over}", code == 0 ? null : text + error);
        await Tool.TryRunAsync("btrfs", "device", "scan", "--forget"); // the last one had the same id
        await using LoopMount mount = await LoopMount.MountAsync(target, folder["restored"], options: "ro");
        Add(differences, $"files of what was restored over {over}", Restored.Listing(mount.Folder).SequenceEqual(listing) ? null : "not those that were there");
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
