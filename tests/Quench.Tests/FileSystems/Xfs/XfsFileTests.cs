using System.Globalization;
using System.Text;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>Where files lie by our own reader beside what xfs_db says.</summary>
public sealed class XfsFileTests(ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("-d agcount=3")]
    [InlineData("-b size=1024 -d agcount=4 -m reflink=0")]
    [InlineData("-b size=1024 -n size=16384 -d agcount=2")]
    [InlineData("-b size=512 -n size=4096 -m crc=0")]
    [InlineData("-i size=2048 -d agcount=2")]
    [InlineData("-i nrext64=1 -m rmapbt=1 -d agcount=2")]
    public async Task Files_that_a_kernel_wrote_lie_where_xfs_db_says(string options)
    {
        using TempFolder folder = new();
        (string image, Dictionary<string, long> inodes) = await MakeAsync(folder, options, async mounted => await ManyFiles.WriteAsync(mounted, new Random(Knob.Seed)));
        (long count, string? difference) = await FoundFiles.CompareAsync(image, await XfsFileWitness.AskAsync(image, inodes));
        output.WriteLine($"{count} files");
        Assert.Null(difference);
        Assert.InRange(count, 100, long.MaxValue);
    }

    [Fact]
    public async Task Files_of_generated_file_systems_lie_where_xfs_db_says()
    {
        await GeneratedVolumes.HoldAsync(4, output, async (random, _, folder) =>
        {
            XfsRecipe recipe = XfsRecipe.From(random);
            string image = folder["made.img"];
            if (recipe.IsVersion4 || !await XfsMaker.TryMakeAsync(recipe, image))
            {
                return null;
            }

            Dictionary<string, long> inodes;
            await using (LoopMount mount = await LoopMount.MountAsync(image, folder["mnt"]))
            {
                inodes = await XfsFileWitness.InodesAsync(mount.Folder);
            }

            (long count, string? difference) = await FoundFiles.CompareAsync(image, await XfsFileWitness.AskAsync(image, inodes));
            IEnumerable<string> differences = difference is null ? [] : [difference];
            output.WriteLine($"{count} files");
            return (recipe.ToString(), differences);
        });
    }

    [Fact]
    public async Task A_file_of_several_names_counts_when_all_of_them_are_wanted_and_one_that_may_share_blocks_never()
    {
        using TempFolder folder = new();
        (string image, _) = await MakeAsync(folder, "-m reflink=1 -d agcount=2", async mounted =>
        {
            string Path(string name) => System.IO.Path.Combine(mounted, name);
            byte[] bytes = new byte[50_000];
            new Random(1).NextBytes(bytes);
            foreach (string name in new[] { "a", "c", "shared" })
            {
                await File.WriteAllBytesAsync(Path(name), bytes, Token);
            }

            Directory.CreateDirectory(Path("below"));
            await Tool.RunAsync("ln", Path("a"), Path("below/b"));
            await Tool.RunAsync("cp", "--reflink=always", Path("shared"), Path("below/copy"));
        });
        FileFindings all = await FoundFiles.FindAsync(image, _ => true);
        Assert.Equal(["/a", "/c"], all.Files.Select(file => file.Path).Order());
        Assert.Equal(2, all.DoubtCount);
        Assert.All(all.Doubts, doubt => Assert.Contains("reflink", doubt, StringComparison.Ordinal));
        FileFindings some = await FoundFiles.FindAsync(image, path => path is "/a" or "/c");
        Assert.Equal(["/c"], some.Files.Select(file => file.Path));
        Assert.Equal("/a is kept: 1 of its 2 names are not to be left out", Assert.Single(some.Doubts));
        UsedBlocks rest = (await FoundFiles.FindAsync(image, path => path == "/c", keptHead: 10_000)).Data;
        Assert.Equal((50_000 + 4095) / 4096 * 4096, rest.TotalLength + 12_288);
    }

    [Fact]
    public async Task A_search_that_would_read_too_much_is_given_up()
    {
        using TempFolder folder = new();
        (string image, _) = await MakeAsync(folder, "-d agcount=2", async mounted => await ManyFiles.WriteAsync(mounted, new Random(1)));
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        FileFindings found = Assert.Single(await FileSearch.RunAsync(volume, analysis, new EveryFile(), mostBlocks: 2, Token)).Found;
        Assert.Contains("more than 2 blocks", found.GivenUp, StringComparison.Ordinal);
        Assert.Empty(found.Files);
    }

    [Fact]
    public async Task Bits_that_flip_in_folders_inodes_and_trees_are_found_by_their_checksums()
    {
        using TempFolder folder = new();
        (string image, _) = await MakeAsync(folder, "-b size=1024 -d agcount=2", async mounted => await ManyFiles.WriteAsync(mounted, new Random(1)));
        byte[] bytes = await File.ReadAllBytesAsync(image, Token);
        FileFindings sound = await FoundFiles.FindAsync(image, _ => true);
        int tried = 0;
        foreach (string magic in new[] { "IN", "XDD3", "XDB3", "BMA3" })
        {
            int step = magic == "IN" ? 512 : 1024;
            int[] places = [.. Enumerable.Range(1, (bytes.Length / step) - 1).Select(index => index * step).Where(at => bytes.AsSpan(at, magic.Length).SequenceEqual(Encoding.ASCII.GetBytes(magic)))];
            Assert.NotEmpty(places);
            foreach (int place in places.Where((_, index) => index % ((places.Length / 4) + 1) == 0))
            {
                int at = place + (magic == "IN" ? 0x70 : 0x50);
                bytes[at] ^= 4;
                await File.WriteAllBytesAsync(folder["flipped.img"], bytes, Token);
                FileFindings found = await FoundFiles.FindAsync(folder["flipped.img"], _ => true);
                Assert.True(found.GivenUp is not null || found.DoubtCount > sound.DoubtCount || found.Data.TotalLength == sound.Data.TotalLength, $"{magic} at {place}: unnoticed");
                Assert.True(found.Data.Runs().All(run => IsWithin(sound.Data, run)), $"{magic} at {place}: blocks that are not a file's");
                tried++;
                bytes[at] ^= 4;
            }
        }

        Assert.InRange(tried, 8, 100);
    }

    [Fact]
    public async Task No_bytes_make_a_search_fail_hang_or_take_much_memory()
    {
        using TempFolder folder = new();
        (string old, _) = await MakeAsync(folder, "-b size=1024 -m crc=0 -d agcount=1", _ => Task.CompletedTask, "20M");
        await FileSearchFuzz.RunAsync(await File.ReadAllBytesAsync(old, Token), "xfs", 2, output);
        (string image, _) = await MakeAsync(folder, "-b size=1024 -d agcount=1", WriteSomeAsync, "24M");
        byte[] bytes = await File.ReadAllBytesAsync(image, Token);
        await FileSearchFuzz.RunAsync(bytes, "xfs", 2, output, [.. Sealed(bytes)]);
    }

    /// <summary>A folder in its inode, one of a block, one of several, and a file whose extents need a tree.</summary>
    private static async Task WriteSomeAsync(string folder)
    {
        foreach ((string name, int files) in new[] { ("few", 2), ("some", 40), ("many", 150) })
        {
            string below = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
            for (int index = 0; index < files; index++)
            {
                await File.WriteAllTextAsync(Path.Combine(below, $"a-rather-long-name-{index}"), "some text", Token);
            }
        }

        await using FileStream holes = File.Create(Path.Combine(folder, "full-of-holes"));
        for (int piece = 0; piece < 300; piece++)
        {
            holes.Seek(piece * 65_536L, SeekOrigin.Begin);
            holes.WriteByte(1);
        }
    }

    /// <summary>What has a checksum that the search looks at.</summary>
    private static IEnumerable<SealedStructure> Sealed(byte[] bytes)
    {
        (string Magic, int Length, int Checksum)[] kinds = [("XFSB", 512, 0xE0), ("XAGF", 512, 0xD8), ("XAFL", 512, 32), ("IN", 512, 0x64), ("AB3B", 1024, 0x34), ("BMA3", 1024, 0x40), ("XDB3", 4096, 4), ("XDD3", 4096, 4)];
        for (int at = 0; at < bytes.Length; at += 512)
        {
            foreach ((string magic, int length, int checksum) in kinds)
            {
                if (at + length <= bytes.Length && bytes.AsSpan(at, magic.Length).SequenceEqual(Encoding.ASCII.GetBytes(magic)))
                {
                    yield return new SealedStructure(at, length, checksum);
                }
            }
        }
    }

    private static bool IsWithin(UsedBlocks all, Extent run) => all.Bits.CountSet(run.Offset / all.BlockSize, run.Length / all.BlockSize) == run.Length / all.BlockSize;

    /// <summary>Makes one and has it filled; of version 4, which kernels of today do not mount, from a prototype.</summary>
    private static async Task<(string Image, Dictionary<string, long> Inodes)> MakeAsync(TempFolder folder, string options, Func<string, Task> fillAsync, string size = "96M")
    {
        Tool.Require("mkfs.xfs", "xfs_db");
        Tool.RequireRoot();
        string image = folder["made.img"];
        await Tool.RunAsync("truncate", "-s", size, image);
        bool isOld = options.Contains("crc=0", StringComparison.Ordinal);
        string[] words = [.. options.Split(' '), .. isOld ? ["-p", await WritePrototypeAsync(folder)] : (string[])[]];
        (int code, _, string said) = await Tool.TryRunAsync("mkfs.xfs", ["--unsupported", "-q", "-f", .. words, image]);
        Assert.True(code == 0, said);
        Dictionary<string, long> inodes = [];
        if (isOld)
        {
            foreach (string path in Directory.EnumerateFiles(folder["content"], "*", SearchOption.AllDirectories).Select(path => "/" + Path.GetRelativePath(folder["content"], path)))
            {
                string text = await Tool.RunAsync("xfs_db", "-r", "-f", "-c", $"path {path}", "-c", "p core.magic", "-c", "inode", image);
                inodes[path] = long.Parse(text.Split("current inode number is ")[1].Trim().Split([' ', '\n'])[0], CultureInfo.InvariantCulture);
            }

            return (image, inodes);
        }

        await using LoopMount mount = await LoopMount.MountAsync(image, folder["mnt"]);
        await fillAsync(mount.Folder);
        return (image, await XfsFileWitness.InodesAsync(mount.Folder));
    }

    private static async Task<string> WritePrototypeAsync(TempFolder folder)
    {
        Random random = new(Knob.Seed);
        string content = Directory.CreateDirectory(folder["content"]).FullName;
        string boot = folder["boot"];
        await File.WriteAllTextAsync(boot, "", Token);
        List<string> lines = [boot, "0 0", "d--755 0 0"];
        foreach ((string name, int files) in new[] { ("few", 3), ("many", 110) })
        {
            Directory.CreateDirectory(Path.Combine(content, name));
            lines.Add($"{name} d--755 0 0");
            for (int index = 0; index < files; index++)
            {
                string path = Path.Combine(content, name, $"a-rather-long-name-{index}");
                byte[] bytes = new byte[random.Next(1, 30_000)];
                random.NextBytes(bytes);
                await File.WriteAllBytesAsync(path, bytes, Token);
                lines.Add($"a-rather-long-name-{index} ---644 0 0 {path}");
            }

            lines.Add("$");
        }

        lines.Add("$");
        await File.WriteAllLinesAsync(folder["prototype"], lines, Token);
        return folder["prototype"];
    }
}
