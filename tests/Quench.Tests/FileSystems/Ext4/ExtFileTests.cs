using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>Where files lie by our own reader beside what debugfs says.</summary>
public sealed class ExtFileTests(ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Files_of_generated_file_systems_lie_where_debugfs_says()
    {
        Tool.Require("mke2fs", "debugfs", "resize2fs");
        int seed = Knob.Seed;
        int wanted = Knob.WitnessCount(10);
        using TempFolder folder = new();
        ExtMaker.WriteContent(Directory.CreateDirectory(folder["content"]).FullName, new Random(seed));
        string[] paths = [.. Directory.EnumerateFiles(folder["content"], "*", SearchOption.AllDirectories).Select(path => "/" + Path.GetRelativePath(folder["content"], path))];
        long files = 0;
        List<string> differences = [];
        for ((int number, int made) = (0, 0); made < wanted; number++)
        {
            ExtRecipe recipe = ExtRecipe.From(Knob.Chance(seed, number));
            string image = folder[$"{number}.img"];
            if (recipe.IsFilled && await ExtMaker.TryMakeAsync(recipe, image, folder["content"]))
            {
                made++;
                (long count, string? difference) = await FoundFiles.CompareAsync(image, await ExtFileWitness.AskAsync(image, paths));
                files += count;
                differences.AddRange(difference is null ? [] : [$"seed {seed}, number {number}: {recipe}: {difference}"]);
            }

            File.Delete(image);
        }

        output.WriteLine($"seed {seed}: {files} files on {wanted} file systems held against debugfs");
        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }

    [Theory]
    [InlineData("ext4", "-b 4096")]
    [InlineData("ext4", "-b 1024 -O ^metadata_csum,^64bit")]
    [InlineData("ext4", "-b 4096 -O bigalloc -C 65536")]
    [InlineData("ext4", "-b 4096 -O inline_data -I 512")]
    [InlineData("ext3", "-b 1024")]
    [InlineData("ext4", "-b 2048 -O ^filetype,large_dir")]
    public async Task Files_that_a_kernel_wrote_lie_where_debugfs_says(string type, string options)
    {
        Tool.Require("mke2fs", "debugfs", "losetup", "fallocate");
        Tool.RequireRoot();
        using TempFolder folder = new();
        string[] paths;
        await using (MountedImage mounted = await MountedImage.MakeAsync(folder, type, options, "96M"))
        {
            paths = await ManyFiles.WriteAsync(mounted.Folder, new Random(Knob.Seed));
        }

        (long count, string? difference) = await FoundFiles.CompareAsync(folder["mounted.img"], await ExtFileWitness.AskAsync(folder["mounted.img"], paths));
        output.WriteLine($"{count} files");
        Assert.Null(difference);
        Assert.InRange(count, 100, long.MaxValue);
    }

    [Fact]
    public async Task A_file_of_several_names_counts_when_all_of_them_are_wanted()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024", "write CONTENT a", "mkdir below", "ln a below/b", "set_inode_field a links_count 2", "write CONTENT c");
        Assert.Equal(["/a", "/c"], (await FoundFiles.FindAsync(image, _ => true)).Files.Select(file => file.Path).Order());
        FileFindings some = await FoundFiles.FindAsync(image, path => path != "/below/b");
        Assert.Equal(["/c"], some.Files.Select(file => file.Path));
        Assert.Equal("/a is kept: 1 of its 2 names are not to be left out", Assert.Single(some.Doubts));
    }

    [Fact]
    public async Task The_start_of_a_file_can_be_kept()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024", "write CONTENT a");
        UsedBlocks whole = (await FoundFiles.FindAsync(image, _ => true)).Data;
        UsedBlocks rest = (await FoundFiles.FindAsync(image, _ => true, keptHead: 2500)).Data;
        Assert.Equal(whole.TotalLength - 3072, rest.TotalLength);
        Assert.Equal(whole.Runs().First().Offset + 3072, rest.Runs().First().Offset);
        Assert.Empty((await FoundFiles.FindAsync(image, _ => true, keptHead: 1 << 30)).Files);
    }

    [Theory]
    [InlineData("set_inode_field a flags 0x80800", "it is encrypted")]
    [InlineData("set_inode_field a flags 0x180000", "protected against every change")]
    [InlineData("set_inode_field a links_count 0", "is not a file in use")]
    public async Task A_file_that_would_not_read_as_zeros_is_kept(string change, string sentence)
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024", "write CONTENT a", "write CONTENT c", change);
        FileFindings found = await FoundFiles.FindAsync(image, _ => true);
        Assert.Equal(["/c"], found.Files.Select(file => file.Path));
        Assert.Contains(sentence, Assert.Single(found.Doubts), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_files_with_a_block_in_common_end_the_search()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024 -O ^extent,^64bit", "write CONTENT a", "write CONTENT c");
        long block = (await FoundFiles.FindAsync(image, path => path == "/a")).Data.Runs().First().Offset / 1024;
        await Tool.RunAsync("debugfs", "-w", "-R", $"set_inode_field c block[3] {block}", image);
        FileFindings found = await FoundFiles.FindAsync(image, _ => true);
        Assert.Contains("two files have a block in common", found.GivenUp, StringComparison.Ordinal);
        Assert.Equal(0, found.Data.TotalLength);
        Assert.Empty(found.Files);
    }

    [Fact]
    public async Task A_file_that_claims_metadata_or_a_folder_met_twice_ends_the_search()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024 -O ^extent,^64bit", "write CONTENT a", "mkdir below", "ln below again");
        FileFindings found = await FoundFiles.FindAsync(image, _ => true);
        Assert.Contains("met twice", found.GivenUp, StringComparison.Ordinal);
        await Tool.RunAsync("debugfs", "-w", "-R", "unlink again", image);
        Assert.Null((await FoundFiles.FindAsync(image, _ => true)).GivenUp);
        await Tool.RunAsync("debugfs", "-w", "-R", "set_inode_field a block[3] 3", image);
        Assert.Contains("the file system's own", (await FoundFiles.FindAsync(image, _ => true)).GivenUp, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_search_that_would_read_too_much_is_given_up()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024", "mkdir below", "write CONTENT a");
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        FileFindings found = Assert.Single(await FileSearch.RunAsync(volume, analysis, new EveryFile(), mostBlocks: 2, Token)).Found;
        Assert.Contains("more than 2 blocks", found.GivenUp, StringComparison.Ordinal);
        Assert.Empty(found.Files);
    }

    [Fact]
    public async Task No_bytes_make_a_search_fail_hang_or_take_much_memory()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        ExtMaker.WriteContent(Directory.CreateDirectory(folder["content"]).FullName, new Random(1));
        string[] kinds = ["-b 1024 -O ^metadata_csum,^has_journal,^resize_inode", "-b 1024 -O ^metadata_csum,^extent,^64bit,^has_journal,^resize_inode", "-b 4096 -O ^metadata_csum,inline_data,^has_journal -I 512"];
        foreach (string options in kinds)
        {
            string image = folder["fuzz.img"];
            File.Delete(image);
            await Tool.RunAsync("mke2fs", ["-q", "-F", "-t", "ext4", .. options.Split(' '), "-N", "64", "-d", folder["content"], image, "4M"]);
            await FileSearchFuzz.RunAsync(await File.ReadAllBytesAsync(image, Token), "ext4", kinds.Length, output);
        }
    }

    private static async Task<string> MakeAsync(TempFolder folder, string options, params string[] commands)
    {
        string image = folder["made.img"];
        await File.WriteAllBytesAsync(folder["content"], [.. Enumerable.Range(0, 20_000).Select(index => (byte)((index % 255) + 1))]);
        await Tool.RunAsync("mke2fs", ["-q", "-F", "-t", "ext4", .. options.Split(' '), image, "8M"]);
        await File.WriteAllLinesAsync(folder["script"], commands.Select(command => command.Replace("CONTENT", folder["content"], StringComparison.Ordinal)));
        await Tool.RunAsync("debugfs", "-w", "-f", folder["script"], image);
        return image;
    }
}
