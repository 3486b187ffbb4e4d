using System.Collections.Concurrent;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>Our maps beside those of dumpe2fs and partclone, block for block, over many generated file systems; and what is restored by them before e2fsck and the kernel.</summary>
public sealed class ExtWitnessTests(ITestOutputHelper output)
{
    private const int Lanes = 4;
    private readonly RestoreTrial _trial = new(image => RestoreTrial.AskAsync("e2fsck", "-f", "-n", image), ListAsync);

    [Fact]
    public async Task Generated_file_systems_are_mapped_as_dumpe2fs_and_partclone_map_them_and_are_whole_when_restored()
    {
        Tool.Require("mke2fs", "debugfs", "dumpe2fs", "partclone.extfs", "resize2fs", "e2fsck");
        Tool.RequireRoot();
        int wanted = Knob.WitnessCount(24);
        int seed = Knob.Seed;
        using TempFolder folder = new();
        ExtMaker.WriteContent(Directory.CreateDirectory(folder["content"]).FullName, new Random(seed));
        ConcurrentQueue<string> differences = [];
        int made = 0;
        int next = 0;
        async Task WorkAsync()
        {
            while (Volatile.Read(ref made) < wanted)
            {
                int number = Interlocked.Increment(ref next);
                ExtRecipe recipe = ExtRecipe.From(Knob.Chance(seed, number));
                string image = folder[$"{number}.img"];
                if (await ExtMaker.TryMakeAsync(recipe, image, folder["content"]))
                {
                    Interlocked.Increment(ref made);
                    (await DifferencesAsync(recipe, image, number)).ForEach(difference => differences.Enqueue($"seed {seed}, number {number}: {recipe}: {difference}"));
                }

                File.Delete(image);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Lanes).Select(_ => Task.Run(WorkAsync, TestContext.Current.CancellationToken)));
        output.WriteLine($"seed {seed}: {made} file systems held against their witnesses, {next - made} combinations refused by mke2fs");
        Assert.True(differences.IsEmpty, string.Join('\n', differences));
        _trial.Demand(output);
    }

    private async Task<List<string>> DifferencesAsync(ExtRecipe recipe, string image, int number)
    {
        await using TestVolume volume = TestVolume.OverFile(image, recipe.Deleted.Count % 2 == 0 || recipe.Tail % 4096 != 0 ? 512 : 4096);
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        if (ours.Doubt is not null || ours.FileSystem?.State != FileSystemState.Clean)
        {
            return [$"not mapped: {ours.Doubt} ({ours.FileSystem})"];
        }

        List<string> differences = [];
        if (ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(image)) is { } first)
        {
            differences.Add("dumpe2fs: " + first);
        }

        // partclone 0.3 cannot read bigalloc: it takes a bitmap's bit for a block.
        if (!recipe.IsBigalloc && ExtWitness.Compare(ours.Used, await ExtWitness.AskPartcloneAsync(image, ours.FileSystem.BlockSize)) is { } second)
        {
            differences.Add("partclone: " + second);
        }

        await _trial.AddDifferencesAsync(image, ours.Used, new Random(number), differences);
        return differences;
    }

    /// <summary>What the kernel shows of it; where it does not mount it, what debugfs takes out of it.</summary>
    private static async Task<IReadOnlyList<string>> ListAsync(string image, string folder)
    {
        await using (LoopMount? mount = await LoopMount.TryMountAsync(image, folder, options: "ro"))
        {
            if (mount is not null)
            {
                return ["mounted", .. Restored.Listing(mount.Folder)];
            }
        }

        await Tool.RunAsync("debugfs", "-R", $"rdump / {folder}", image);
        IReadOnlyList<string> listing = Restored.Listing(folder);
        Directory.Delete(folder, recursive: true);
        return listing;
    }
}
