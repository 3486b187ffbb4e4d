using System.Globalization;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>File systems whose journal still holds work: our map beside that of a copy in which e2fsck has replayed it.</summary>
public sealed class ExtJournalTests(ITestOutputHelper output)
{
    private static readonly CultureInfo s_invariant = CultureInfo.InvariantCulture;

    [Theory]
    [InlineData("-t ext3 -b 1024 -J size=4")]
    [InlineData("-t ext3 -b 4096 -J size=16")]
    [InlineData("-t ext4 -b 1024 -J size=1")]
    [InlineData("-t ext4 -b 4096 -J size=4")]
    [InlineData("-t ext4 -b 2048 -J size=2 -O ^64bit")]
    [InlineData("-t ext4 -b 1024 -J size=2 -O ^metadata_csum,uninit_bg,meta_bg,^resize_inode")]
    [InlineData("-t ext4 -b 1024 -J size=2 -O bigalloc,^resize_inode -C 8192")]
    public async Task A_transaction_in_the_journal_counts_as_done(string makeArguments)
    {
        Tool.Require("mke2fs", "debugfs", "dumpe2fs", "e2fsck");
        using TempFolder folder = new();
        await MakeAsync(folder, makeArguments);
        long[] changed = await ChangeACopyAsync(folder);
        await DebugfsAsync(folder, "before.img", "jo", $"jw -b {string.Join(',', changed)} {folder["changed.bin"]}", "jc");

        VolumeAnalysis ours = await AnalyseAsync(folder["before.img"]);
        Assert.Null(ours.Doubt);
        Assert.Equal(FileSystemState.NeedsRecovery, ours.FileSystem!.State);
        Assert.Null(ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(folder["after.img"])));
        Assert.NotNull(ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(folder["before.img"])));
        await ExpectAsE2fsckReplaysAsync(folder, "before.img");
    }

    [Theory]
    [InlineData("-t ext3 -b 1024 -J size=4")]
    [InlineData("-t ext4 -b 1024 -J size=1")]
    public async Task A_transaction_without_its_commit_does_not_count(string makeArguments)
    {
        Tool.Require("mke2fs", "debugfs", "dumpe2fs", "e2fsck");
        using TempFolder folder = new();
        await MakeAsync(folder, makeArguments);
        UsedBlocks before = await ExtWitness.AskDumpe2fsAsync(folder["before.img"]);
        long[] changed = await ChangeACopyAsync(folder);
        await DebugfsAsync(folder, "before.img", "jo", "jw -r 9", $"jw -c -b {string.Join(',', changed)} {folder["changed.bin"]}", "jc");

        VolumeAnalysis ours = await AnalyseAsync(folder["before.img"]);
        Assert.Equal(FileSystemState.NeedsRecovery, ours.FileSystem!.State);
        Assert.Null(ExtWitness.Compare(ours.Used, before));
        await ExpectAsE2fsckReplaysAsync(folder, "before.img");
    }

    [Theory]
    [InlineData("-t ext3 -b 1024 -J size=4")]
    [InlineData("-t ext4 -b 1024 -J size=1")]
    public async Task A_revoked_block_is_not_replayed_and_a_later_transaction_may_write_it_again(string makeArguments)
    {
        Tool.Require("mke2fs", "debugfs", "dumpe2fs", "e2fsck");
        using TempFolder folder = new();
        await MakeAsync(folder, makeArguments);
        UsedBlocks before = await ExtWitness.AskDumpe2fsAsync(folder["before.img"]);
        string changed = string.Join(',', await ChangeACopyAsync(folder));
        File.Copy(folder["before.img"], folder["again.img"]);

        await DebugfsAsync(folder, "before.img", "jo", $"jw -b {changed} {folder["changed.bin"]}", $"jw -r {changed}", "jc");
        Assert.Null(ExtWitness.Compare((await AnalyseAsync(folder["before.img"])).Used, before));
        await ExpectAsE2fsckReplaysAsync(folder, "before.img");

        string write = $"jw -b {changed} {folder["changed.bin"]}";
        await DebugfsAsync(folder, "again.img", "jo", write, $"jw -r {changed}", write, "jc");
        Assert.Null(ExtWitness.Compare((await AnalyseAsync(folder["again.img"])).Used, await ExtWitness.AskDumpe2fsAsync(folder["after.img"])));
        await ExpectAsE2fsckReplaysAsync(folder, "again.img");
    }

    [Fact]
    public async Task A_bitmap_that_begins_like_a_journal_block_is_unescaped()
    {
        Tool.Require("mke2fs", "debugfs", "dumpe2fs", "e2fsck");
        using TempFolder folder = new();
        await MakeAsync(folder, "-t ext4 -b 1024 -J size=1 -G 8", fill: false);
        File.Copy(folder["before.img"], folder["after.img"]);

        // Group 4 begins free. These of its blocks make its bitmap begin with C0 3B 39 98, the journal's magic.
        byte[] magic = [0xC0, 0x3B, 0x39, 0x98];
        const int groupStart = 1 + (4 * 8192);
        int[] bits = [.. Enumerable.Range(0, 32).Where(bit => (magic[bit / 8] & (1 << (bit % 8))) != 0)];
        UsedBlocks empty = await ExtWitness.AskDumpe2fsAsync(folder["before.img"]);
        Assert.False(empty.Overlaps(new Extent(groupStart * 1024L, 32 * 1024)), "group 4 does not begin free");
        long free = 8191 - empty.Bits.CountSet(groupStart, 8191) - bits.Length;
        await DebugfsAsync(folder, "after.img",
            [.. bits.Select(bit => $"setb {groupStart + bit}"), "set_bg 4 flags 1", $"set_bg 4 free_blocks_count {free}", "set_bg 4 checksum calc"]);
        long[] changed = Changed(folder);
        Assert.Contains(changed, block => File.ReadAllBytes(folder["after.img"]).AsSpan((int)block * 1024, 4).SequenceEqual(magic));

        await DebugfsAsync(folder, "before.img", "jo", $"jw -b {string.Join(',', changed)} {folder["changed.bin"]}", "jc");
        Assert.Null(ExtWitness.Compare((await AnalyseAsync(folder["before.img"])).Used, await ExtWitness.AskDumpe2fsAsync(folder["after.img"])));
        await ExpectAsE2fsckReplaysAsync(folder, "before.img");
    }

    [Theory]
    [InlineData("journal block", "of the ext4 journal does not match its checksum")]
    [InlineData("journal superblock", "journal's superblock does not match its checksum")]
    public async Task A_flipped_bit_in_the_journal_puts_everything_in_use(string where, string sentence)
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        await MakeAsync(folder, "-t ext4 -b 1024 -J size=1");
        long[] changed = await ChangeACopyAsync(folder);
        await DebugfsAsync(folder, "before.img", "jo -c", $"jw -b {string.Join(',', changed)} {folder["changed.bin"]}", "jc");
        long first = long.Parse((await Tool.RunAsync("debugfs", "-R", "bmap <8> 0", folder["before.img"])).Trim(), s_invariant);
        byte[] image = await File.ReadAllBytesAsync(folder["before.img"], TestContext.Current.CancellationToken);
        image[(first * 1024) + (where == "journal superblock" ? 0x1B : (2 * 1024) + 77)] ^= 4;

        await using TestVolume volume = TestVolume.Over(image);
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        Assert.Contains(sentence, ours.Doubt, StringComparison.Ordinal);
        Assert.Equal(image.Length, ours.Used.TotalLength);
    }

    [Theory]
    [InlineData("ext3", "-b 1024")]
    [InlineData("ext4", "-b 1024")]
    [InlineData("ext4", "-b 4096")]
    [InlineData("ext4", "-b 4096 -O bigalloc,^resize_inode -C 32768")]
    public async Task A_mounted_file_system_is_mapped_as_its_journal_leaves_it(string type, string makeArguments)
    {
        Tool.RequireRoot();
        Tool.Require("mke2fs", "mount", "umount", "losetup", "dumpe2fs", "e2fsck");
        using TempFolder folder = new();
        int seed = int.TryParse(Environment.GetEnvironmentVariable("QUENCH_SEED"), s_invariant, out int given) ? given : 4711;
        output.WriteLine($"seed {seed}");
        await using MountedImage mounted = await MountedImage.MakeAsync(folder, type, makeArguments, "96M");
        Random random = new(seed);
        for (int round = 0; round < 4; round++)
        {
            await LiveOnAsync(mounted.Folder, random);
            await mounted.CopyAsync(folder["crashed.img"]);
            VolumeAnalysis ours = await AnalyseAsync(folder["crashed.img"]);
            Assert.Null(ours.Doubt);
            Assert.Equal(FileSystemState.NeedsRecovery, ours.FileSystem!.State);
            await ExpectAsE2fsckReplaysAsync(folder, "crashed.img");
        }
    }

    [Theory]
    [InlineData("ext3", "-b 1024")]
    [InlineData("ext4", "-b 4096")]
    public async Task A_frozen_file_system_is_clean_and_mapped_exactly(string type, string makeArguments)
    {
        Tool.RequireRoot();
        Tool.Require("mke2fs", "mount", "umount", "losetup", "dumpe2fs", "fsfreeze");
        using TempFolder folder = new();
        await using MountedImage mounted = await MountedImage.MakeAsync(folder, type, makeArguments, "96M");
        await LiveOnAsync(mounted.Folder, new Random(5));
        await mounted.WhileFrozenAsync(() => mounted.CopyAsync(folder["frozen.img"]));

        VolumeAnalysis ours = await AnalyseAsync(folder["frozen.img"]);
        Assert.Null(ours.Doubt);
        Assert.Equal(FileSystemState.Clean, ours.FileSystem!.State);
        Assert.Null(ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(folder["frozen.img"])));
    }

    [Theory]
    [InlineData("ext2", "-b 1024")]
    [InlineData("ext4", "-b 4096 -O ^has_journal")]
    public async Task A_mounted_file_system_without_a_journal_is_believed_as_far_as_its_condition_vouches(string type, string makeArguments)
    {
        Tool.RequireRoot();
        Tool.Require("mke2fs", "mount", "umount", "losetup", "fsfreeze", "e2fsck");
        using TempFolder folder = new();
        await using MountedImage mounted = await MountedImage.MakeAsync(folder, type, makeArguments, "32M");
        await LiveOnAsync(mounted.Folder, new Random(5));
        await mounted.WhileFrozenAsync(() => mounted.CopyAsync(folder["frozen.img"]));

        VolumeAnalysis frozen = await AnalyseAsync(folder["frozen.img"], VolumeCondition.Frozen);
        Assert.Equal(FileSystemState.Clean, frozen.FileSystem!.State);
        (int code, string said, string error) = await Tool.TryRunAsync("e2fsck", "-fn", folder["frozen.img"]);
        Assert.True(code == 0, said + error); // an outside witness that frozen is in order

        VolumeAnalysis running = await AnalyseAsync(folder["frozen.img"], VolumeCondition.Running);
        Assert.Equal(FileSystemState.NeedsRecovery, running.FileSystem!.State);
        Assert.Equal(FileSystemState.Unsound, (await AnalyseAsync(folder["frozen.img"])).FileSystem!.State);
        Assert.All([frozen, running], analysis =>
        {
            Assert.Contains("journal", analysis.Doubt, StringComparison.Ordinal);
            Assert.Equal(32L << 20, analysis.Used.TotalLength);
        });
    }

    [Fact]
    public async Task Noted_errors_are_unsound_in_every_condition()
    {
        Tool.Require("mke2fs");
        using TempFolder folder = new();
        await Tool.RunAsync("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", folder["errors.img"], "4M");
        byte[] image = await File.ReadAllBytesAsync(folder["errors.img"], TestContext.Current.CancellationToken);
        image[1024 + 0x3A] = 2; // s_state: errors noted, not valid
        await File.WriteAllBytesAsync(folder["errors.img"], image, TestContext.Current.CancellationToken);

        foreach (VolumeCondition condition in Enum.GetValues<VolumeCondition>())
        {
            VolumeAnalysis ours = await AnalyseAsync(folder["errors.img"], condition);
            Assert.Equal(FileSystemState.Unsound, ours.FileSystem!.State);
            Assert.Equal(image.Length, ours.Used.TotalLength);
        }
    }

    [Fact]
    public async Task A_file_system_grown_into_meta_block_groups_is_mapped()
    {
        Tool.Require("mke2fs", "debugfs", "dumpe2fs", "e2fsck", "resize2fs");
        using TempFolder folder = new();
        await Tool.RunAsync("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "^resize_inode", folder["grown.img"], "100M");
        await DebugfsAsync(folder, "grown.img", "feature meta_bg", "set_super_value first_meta_bg 1");
        await Tool.TryRunAsync("e2fsck", "-fy", folder["grown.img"]);
        await Tool.RunAsync("truncate", "-s", "400M", folder["grown.img"]);
        await Tool.RunAsync("resize2fs", folder["grown.img"]);
        Assert.Contains("First meta block group:   1", await Tool.RunAsync("dumpe2fs", "-h", folder["grown.img"]), StringComparison.Ordinal);

        VolumeAnalysis ours = await AnalyseAsync(folder["grown.img"]);
        Assert.Null(ours.Doubt);
        Assert.Null(ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(folder["grown.img"])));
    }

    /// <summary>Writes, deletes, and makes sure that what was done is committed; most of it stays in the journal.</summary>
    private static async Task LiveOnAsync(string folder, Random random)
    {
        for (int step = 0; step < 40; step++)
        {
            string name = Path.Combine(folder, $"file{random.Next(30)}");
            byte[] bytes = new byte[random.Next(1, 200_000)];
            random.NextBytes(bytes);
            File.WriteAllBytes(name, bytes);
            File.Delete(Path.Combine(folder, $"file{random.Next(30)}"));
        }

        await MountedImage.SyncAsync(Path.Combine(folder, "last"));
    }

    private static async Task MakeAsync(TempFolder folder, string arguments, bool fill = true)
    {
        ExtMaker.WriteContent(Directory.CreateDirectory(folder["content"]).FullName, new Random(3));
        IEnumerable<string> content = fill ? ["-d", folder["content"]] : [];
        await Tool.RunAsync("mke2fs", ["-q", "-F", .. arguments.Split(' '), .. content, folder["before.img"], "40M"]);
    }

    /// <summary>Makes after.img, deletes and writes files in it, and puts the blocks that differ from before.img into changed.bin.</summary>
    private static async Task<long[]> ChangeACopyAsync(TempFolder folder)
    {
        File.Copy(folder["before.img"], folder["after.img"]);
        await DebugfsAsync(folder, "after.img", "rm file1", "rm file2", "rm file7", "rm sparse", $"write {folder["content/sparse"]} new", "mkdir more");
        return Changed(folder);
    }

    private static long[] Changed(TempFolder folder)
    {
        byte[] before = File.ReadAllBytes(folder["before.img"]);
        byte[] after = File.ReadAllBytes(folder["after.img"]);
        int blockSize = 1024 << before[1024 + 0x18];
        long[] changed = [.. Enumerable.Range(0, before.Length / blockSize)
            .Where(block => !before.AsSpan(block * blockSize, blockSize).SequenceEqual(after.AsSpan(block * blockSize, blockSize)))
            .Select(block => (long)block)];
        File.WriteAllBytes(folder["changed.bin"], [.. changed.SelectMany(block => after.AsSpan((int)block * blockSize, blockSize).ToArray())]);
        return changed;
    }

    private static async Task DebugfsAsync(TempFolder folder, string image, params string[] commands)
    {
        await File.WriteAllLinesAsync(folder["script"], commands);
        await Tool.RunAsync("debugfs", "-w", "-f", folder["script"], folder[image]);
    }

    private static async Task<VolumeAnalysis> AnalyseAsync(string image, VolumeCondition condition = VolumeCondition.AtRest)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        return await Recogniser.AnalyseAsync(volume, condition, TestContext.Current.CancellationToken);
    }

    private static async Task ExpectAsE2fsckReplaysAsync(TempFolder folder, string image)
    {
        VolumeAnalysis ours = await AnalyseAsync(folder[image]);
        File.Copy(folder[image], folder["replayed.img"], overwrite: true);
        (int code, string said, string error) = await Tool.TryRunAsync("e2fsck", "-y", "-E", "journal_only", folder["replayed.img"]);
        Assert.True(code <= 1, said + error);
        Assert.Null(ExtWitness.Compare(ours.Used, await ExtWitness.AskDumpe2fsAsync(folder["replayed.img"])));
    }
}
