using System.Globalization;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Interop.Linux;
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
                (long count, string? difference) = await CompareAsync(image, paths);
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
            paths = await WriteManyAsync(mounted.Folder, new Random(Knob.Seed));
        }

        (long count, string? difference) = await CompareAsync(folder["mounted.img"], paths);
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
        Assert.Equal(["/a", "/c"], (await FindAsync(image, _ => true)).Files.Select(file => file.Path).Order());
        FileFindings some = await FindAsync(image, path => path != "/below/b");
        Assert.Equal(["/c"], some.Files.Select(file => file.Path));
        Assert.Equal("/a is kept: 1 of its 2 names are not to be left out", Assert.Single(some.Doubts));
    }

    [Fact]
    public async Task The_start_of_a_file_can_be_kept()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024", "write CONTENT a");
        UsedBlocks whole = (await FindAsync(image, _ => true)).Data;
        UsedBlocks rest = (await FindAsync(image, _ => true, keptHead: 2500)).Data;
        Assert.Equal(whole.TotalLength - 3072, rest.TotalLength);
        Assert.Equal(whole.Runs().First().Offset + 3072, rest.Runs().First().Offset);
        Assert.Empty((await FindAsync(image, _ => true, keptHead: 1 << 30)).Files);
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
        FileFindings found = await FindAsync(image, _ => true);
        Assert.Equal(["/c"], found.Files.Select(file => file.Path));
        Assert.Contains(sentence, Assert.Single(found.Doubts), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_files_with_a_block_in_common_end_the_search()
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        string image = await MakeAsync(folder, "-b 1024 -O ^extent,^64bit", "write CONTENT a", "write CONTENT c");
        long block = (await FindAsync(image, path => path == "/a")).Data.Runs().First().Offset / 1024;
        await Tool.RunAsync("debugfs", "-w", "-R", $"set_inode_field c block[3] {block}", image);
        FileFindings found = await FindAsync(image, _ => true);
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
        FileFindings found = await FindAsync(image, _ => true);
        Assert.Contains("met twice", found.GivenUp, StringComparison.Ordinal);
        await Tool.RunAsync("debugfs", "-w", "-R", "unlink again", image);
        Assert.Null((await FindAsync(image, _ => true)).GivenUp);
        await Tool.RunAsync("debugfs", "-w", "-R", "set_inode_field a block[3] 3", image);
        Assert.Contains("the file system's own", (await FindAsync(image, _ => true)).GivenUp, StringComparison.Ordinal);
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
        foreach (string options in new[] { "-b 1024 -O ^metadata_csum,^has_journal,^resize_inode", "-b 1024 -O ^metadata_csum,^extent,^64bit,^has_journal,^resize_inode", "-b 4096 -O ^metadata_csum,inline_data,^has_journal -I 512" })
        {
            string image = folder["fuzz.img"];
            File.Delete(image);
            await Tool.RunAsync("mke2fs", ["-q", "-F", "-t", "ext4", .. options.Split(' '), "-N", "64", "-d", folder["content"], image, "4M"]);
            await FileSearchFuzz.RunAsync(await File.ReadAllBytesAsync(image, Token), "ext4", output);
        }
    }

    private static async Task<(long Files, string? Difference)> CompareAsync(string image, IReadOnlyCollection<string> paths)
    {
        Dictionary<string, HashSet<long>> witness = await ExtFileWitness.AskAsync(image, paths);
        FileFindings ours = await FindAsync(image, witness.ContainsKey);
        if (ours.GivenUp is not null || ours.DoubtCount > 0)
        {
            return (0, ours.GivenUp ?? string.Join(" | ", ours.Doubts));
        }

        HashSet<long> all = [.. ours.Data.Runs().SelectMany(run => Enumerable.Range(0, (int)(run.Length / ours.Data.BlockSize)).Select(index => (run.Offset / ours.Data.BlockSize) + index))];
        HashSet<long> theirs = [.. witness.Values.SelectMany(blocks => blocks)];
        if (!all.SetEquals(theirs))
        {
            return (0, string.Create(CultureInfo.InvariantCulture, $"blocks [{string.Join(' ', all.Except(theirs).Order().Take(9))}] are ours alone, [{string.Join(' ', theirs.Except(all).Order().Take(9))}] theirs"));
        }

        Dictionary<string, long> sizes = ours.Files.ToDictionary(file => file.Path, file => file.Bytes / ours.Data.BlockSize);
        string? wrong = witness.FirstOrDefault(file => sizes.GetValueOrDefault(file.Key) != file.Value.Count && ours.Files.Count < FileFindings.MostNamed).Key;
        return (witness.Count, wrong is null ? null : $"{wrong} has {sizes.GetValueOrDefault(wrong)} blocks by us, {witness[wrong].Count} by debugfs");
    }

    private static async Task<FileFindings> FindAsync(string image, Func<string, bool> isWanted, long keptHead = 0)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        return Assert.Single(await FileSearch.RunAsync(volume, analysis, new EveryFile(isWanted, keptHead), long.MaxValue, Token)).Found;
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

    /// <summary>Small and large files in pieces, with holes and with room that was never written, in folders large enough to be hashed.</summary>
    private static async Task<string[]> WriteManyAsync(string folder, Random random)
    {
        byte[] bytes = new byte[300_000];
        random.NextBytes(bytes);
        string many = Directory.CreateDirectory(Path.Combine(folder, "many")).FullName;
        for (int index = 0; index < 600; index++)
        {
            File.WriteAllBytes(Path.Combine(many, $"a-rather-long-name-so-that-the-folder-grows-{index}"), bytes.AsSpan(0, random.Next(0, 9000)));
        }

        for (int index = 0; index < 600; index += 2)
        {
            File.Delete(Path.Combine(many, $"a-rather-long-name-so-that-the-folder-grows-{index}"));
        }

        string shapes = Directory.CreateDirectory(Path.Combine(folder, "shapes", "deeper")).FullName;
        using (FileStream one = File.Create(Path.Combine(shapes, "in-turn-1")), other = File.Create(Path.Combine(shapes, "in-turn-2")))
        {
            for (int piece = 0; piece < 300; piece++)
            {
                foreach (FileStream file in new[] { one, other })
                {
                    file.Write(bytes.AsSpan(0, 5000));
                    file.Flush();
                    if (piece % 10 == 0)
                    {
                        NativeFile.Sync(file.SafeFileHandle); // allocates what the kernel would otherwise put together
                    }
                }
            }
        }

        for (int index = 0; index < 20; index++)
        {
            using FileStream sparse = File.Create(Path.Combine(shapes, $"sparse-{index}"));
            for (int piece = 0; piece < 5; piece++)
            {
                sparse.Seek(random.Next(1 << random.Next(12, 29)), SeekOrigin.Begin);
                sparse.Write(bytes.AsSpan(0, random.Next(1, 20_000)));
            }
        }

        await Tool.TryRunAsync("fallocate", "-l", "700000", Path.Combine(shapes, "never-written"));
        await Tool.TryRunAsync("fallocate", "-n", "-l", "900000", Path.Combine(shapes, "sparse-1"));
        File.WriteAllText(Path.Combine(shapes, "tiny"), "x");
        File.CreateSymbolicLink(Path.Combine(folder, "link"), "shapes/deeper/tiny");
        return [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(path => "/" + Path.GetRelativePath(folder, path))];
    }
}
