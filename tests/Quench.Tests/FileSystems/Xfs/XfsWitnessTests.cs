using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>Our maps beside those of xfs_db, partclone and the kernel, block for block; and what is restored by them before xfs_repair and the kernel.</summary>
public sealed class XfsWitnessTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Generated_file_systems_are_mapped_as_xfs_db_and_partclone_map_them_and_are_whole_when_restored()
    {
        Tool.Require("mkfs.xfs", "xfs_db", "partclone.xfs", "xfs_repair");
        Tool.RequireRoot();
        RestoreTrial trial = new(image => RestoreTrial.AskAsync("xfs_repair", "-n", "-f", "-o", "force_geometry", image), ListAsync);
        await GeneratedVolumes.HoldAsync(6, output, async (random, number, folder) =>
        {
            XfsRecipe recipe = XfsRecipe.From(random);
            return await XfsMaker.TryMakeAsync(recipe, folder["made.img"]) ? ($"{recipe}", await DifferencesAsync(folder["made.img"], number, trial)) : null;
        });
        trial.Demand(output);
    }

    private static async Task<IReadOnlyList<string>> ListAsync(string image, string folder)
    {
        byte[] superblock = new byte[512];
        await using (FileStream file = File.OpenRead(image))
        {
            await file.ReadExactlyAsync(superblock);
        }

        bool isVersion4 = (superblock[0x65] & 15) == 4;
        return isVersion4 ? await XfsMaker.ListUnmountedAsync(image) : await RestoreTrial.ListMountedAsync(image, folder);
    }

    [Fact]
    public async Task A_frozen_file_system_is_mapped_as_the_kernel_maps_it_and_a_running_one_is_in_use()
    {
        Tool.Require("mkfs.xfs", "xfs_db", "xfs_io", "fsfreeze");
        Tool.RequireRoot();
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "320M", folder["live.img"]);
        await Tool.RunAsync("mkfs.xfs", "-q", folder["live.img"]);
        IReadOnlyList<Extent> kernel = [];
        await using (LoopMount mount = await LoopMount.MountAsync(folder["live.img"], folder["mnt"]))
        {
            XfsMaker.Work(mount.Folder, new Random(5), reflinks: true);
            await Tool.RunAsync("sync", "-f", mount.Folder);
            await CopyAsync(folder, "running.img");
            await mount.WhileFrozenAsync(async () =>
            {
                kernel = await XfsWitness.AskKernelAsync(mount.Folder);
                await CopyAsync(folder, "frozen.img");
            });
        }

        VolumeAnalysis running = await AnalyseAsync(folder["running.img"], VolumeCondition.Running);
        Assert.Contains("log holds changes", running.Doubt, StringComparison.Ordinal);
        Assert.Equal(FileSystemState.NeedsRecovery, running.FileSystem!.State);
        VolumeAnalysis frozen = await AnalyseAsync(folder["frozen.img"], VolumeCondition.Frozen);
        Assert.Null(frozen.Doubt);
        Assert.Equal(FileSystemState.Clean, frozen.FileSystem!.State);
        Assert.Null(MapComparison.Compare(frozen.Used, await XfsWitness.AskXfsDbAsync(folder["frozen.img"])));
        DemandOnlyFreeListsMore(frozen.Used, kernel);
        Assert.Equal(FileSystemState.NeedsRecovery, (await AnalyseAsync(folder["frozen.img"], VolumeCondition.AtRest)).FileSystem!.State);
        Assert.Equal(FileSystemState.Clean, (await AnalyseAsync(folder["live.img"], VolumeCondition.AtRest)).FileSystem!.State);
    }

    private static void DemandOnlyFreeListsMore(UsedBlocks ours, IReadOnlyList<Extent> kernel)
    {
        const int mostListed = 4 * 20 * 4096; // four groups
        Assert.NotEmpty(kernel);
        Assert.All(kernel, free => Assert.False(ours.Overlaps(free), $"the kernel has {free} free"));
        Assert.InRange(ours.VolumeLength - ours.TotalLength - kernel.Sum(free => free.Length), 0, mostListed);
    }

    private static Task<string> CopyAsync(TempFolder folder, string name) => Tool.RunAsync("cp", "--sparse=always", folder["live.img"], folder[name]);

    private static async Task<List<string>> DifferencesAsync(string image, int number, RestoreTrial trial)
    {
        List<string> differences = [];
        VolumeAnalysis ours = await AnalyseAsync(image, VolumeCondition.AtRest, number % 4 == 0 && new FileInfo(image).Length % 4096 == 0 ? 4096 : 512);
        if (ours.Doubt is not null || ours.FileSystem?.State != FileSystemState.Clean)
        {
            return [$"not mapped: {ours.Doubt} ({ours.FileSystem})"];
        }

        Add(differences, "xfs_db", MapComparison.Compare(ours.Used, await XfsWitness.AskXfsDbAsync(image)));
        Add(differences, "partclone", MapComparison.Compare(ours.Used, await Partclone.AskAsync("partclone.xfs", image, ours.FileSystem.BlockSize)));
        await trial.AddDifferencesAsync(image, ours.Used, new Random(number), differences);
        return differences;
    }

    private static void Add(List<string> differences, string witness, string? difference)
    {
        if (difference is not null)
        {
            differences.Add($"{witness}: {difference}");
        }
    }

    private static async Task<VolumeAnalysis> AnalyseAsync(string image, VolumeCondition condition, int sectorSize = 512)
    {
        await using TestVolume volume = TestVolume.OverFile(image, sectorSize);
        return await Recogniser.AnalyseAsync(volume, condition, TestContext.Current.CancellationToken);
    }
}
