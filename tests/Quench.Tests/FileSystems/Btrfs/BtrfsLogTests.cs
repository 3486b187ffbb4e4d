using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>What was waited for since the last commit lies in logs that no extent tree tells of; a mount after a crash brings it back.</summary>
public sealed class BtrfsLogTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("noatime", 0)]
    [InlineData("noatime", 1)]
    [InlineData("nodatacow", 0)]
    [InlineData("compress-force=zstd", 0)]
    [InlineData("max_inline=0", 1)]
    public async Task Files_that_were_waited_for_come_back_after_a_crash(string options, int subvolumes)
    {
        Tool.Require("mkfs.btrfs", "btrfs", "xfs_io");
        Tool.RequireRoot();
        using TempFolder folder = new();
        await CrashAsync(folder, options, subvolumes, Knob.Seed);
        VolumeAnalysis crashed = await AnalyseAsync(folder["crashed.img"], VolumeCondition.AtRest);
        Assert.Null(crashed.Doubt);
        Assert.Equal(FileSystemState.NeedsRecovery, crashed.FileSystem!.State);
        UsedBlocks committed = (await BtrfsWitness.AskAsync(folder["crashed.img"])).Map();
        output.WriteLine($"{crashed.Used.TotalLength - committed.TotalLength} bytes are in no extent tree");
        Assert.True(crashed.Used.TotalLength > committed.TotalLength, "nothing was in the log");
        Assert.All(committed.Runs(), run => Assert.Equal(run.Length, crashed.Used.Bits.CountSet(run.Offset / 4096, run.Length / 4096) * 4096));

        IReadOnlyList<string> whole = await RecoverAsync(folder, "crashed.img");
        Assert.Contains(whole, line => line.Contains("waited-for-3", StringComparison.Ordinal));
        foreach (Random? filling in new[] { null, new Random(3) })
        {
            await Restored.WriteAsync(folder["copy.img"], crashed.Used, folder["restored.img"], filling);
            Assert.Equal(whole, await RecoverAsync(folder, "restored.img"));
        }
    }

    [Fact]
    public async Task A_log_that_was_damaged_or_lies_over_what_is_allocated_puts_everything_in_use()
    {
        Tool.Require("mkfs.btrfs", "btrfs", "xfs_io");
        Tool.RequireRoot();
        using TempFolder folder = new();
        await CrashAsync(folder, "noatime", 0, Knob.Seed);
        BtrfsImage image = new(await File.ReadAllBytesAsync(folder["crashed.img"], TestContext.Current.CancellationToken));
        int field = BtrfsImage.SuperblockPlace + 0x60;
        int log = image.PlaceOf(BitConverter.ToInt64(image.Bytes.AsSpan(field)));
        image.Bytes[log + 200] ^= 1;
        await Judgement.ExpectDoubtAsync(image.Bytes, "does not match its checksum");
        image.Bytes[log + 200] ^= 1;
        BitConverter.TryWriteBytes(image.Bytes.AsSpan(field), image.RootTree);
        BtrfsImage.Seal(image.Bytes, BtrfsImage.SuperblockPlace, BtrfsImage.SuperblockSize);
        await Judgement.ExpectDoubtAsync(image.Bytes, "is not the block of tree -6");
    }

    [Fact]
    public async Task A_frozen_one_has_no_log_and_its_map_is_exact()
    {
        Tool.Require("mkfs.btrfs", "btrfs", "fsfreeze");
        Tool.RequireRoot();
        using TempFolder folder = new();
        await MakeAsync(folder);
        IReadOnlyList<string> listing = [];
        await using (LoopMount mount = await LoopMount.MountAsync(folder["live.img"], folder["mnt"]))
        {
            await WriteAndWaitAsync(mount.Folder, new Random(4), 0);
            await mount.WhileFrozenAsync(() => Tool.RunAsync("cp", "--sparse=always", folder["live.img"], folder["frozen.img"]));
            listing = Restored.Listing(mount.Folder);
        }

        VolumeAnalysis frozen = await AnalyseAsync(folder["frozen.img"], VolumeCondition.Frozen);
        Assert.Null(frozen.Doubt);
        Assert.Equal(FileSystemState.Clean, frozen.FileSystem!.State);
        Assert.Null(MapComparison.Compare(frozen.Used, (await BtrfsWitness.AskAsync(folder["frozen.img"])).Map()));
        await Restored.WriteAsync(folder["frozen.img"], frozen.Used, folder["restored.img"], new Random(9));
        Assert.Equal(listing, await RecoverAsync(folder, "restored.img"));
    }

    /// <summary>Leaves crashed.img and copy.img: as the power's going leaves a volume, with files in its logs.</summary>
    private static async Task CrashAsync(TempFolder folder, string options, int subvolumes, int seed)
    {
        await MakeAsync(folder);
        await using (LoopMount mount = await LoopMount.MountAsync(folder["live.img"], folder["mnt"], options: options + ",commit=300"))
        {
            for (int number = 0; number < subvolumes; number++)
            {
                await Tool.RunAsync("btrfs", "subvolume", "create", Path.Combine(mount.Folder, $"subvolume{number}"));
            }

            FileWork.Do(mount.Folder, new Random(seed), 100 << 20);
            await Tool.RunAsync("sync", "-f", mount.Folder);
            await WriteAndWaitAsync(mount.Folder, new Random(seed), subvolumes);
            await Tool.RunAsync("cp", "--sparse=always", folder["live.img"], folder["crashed.img"]);
        }

        await Tool.RunAsync("cp", "--sparse=always", folder["crashed.img"], folder["copy.img"]);
    }

    private static async Task MakeAsync(TempFolder folder)
    {
        await Tool.RunAsync("truncate", "-s", "200M", folder["live.img"]);
        Assert.Null(await BtrfsMaker.TryMakeFileSystemAsync("-q", "-f", "-n", "4096", folder["live.img"]));
    }

    /// <summary>New files, changed files, preallocated and sparse ones: each written and waited for.</summary>
    private static async Task WriteAndWaitAsync(string folder, Random random, int subvolumes)
    {
        for (int index = 0; index < 8; index++)
        {
            string below = index < 4 || subvolumes == 0 ? folder : Path.Combine(folder, $"subvolume{index % subvolumes}");
            string path = Path.Combine(below, $"waited-for-{index}");
            string work = index % 3 == 2 ? "falloc 0 600k" : "truncate 900k";
            await Tool.RunAsync("xfs_io", "-f", "-c", work, "-c", $"pwrite -S {random.Next(1, 255)} {random.Next(90) * 1000} {random.Next(100, 300_000)}", "-c", "fsync", path);
        }
    }

    /// <summary>What a mount finds, after the log was replayed and the whole checked.</summary>
    private static async Task<IReadOnlyList<string>> RecoverAsync(TempFolder folder, string image)
    {
        await Tool.TryRunAsync("btrfs", "device", "scan", "--forget"); // all of them have the same id
        IReadOnlyList<string> listing;
        await using (LoopMount mount = await LoopMount.MountAsync(folder[image], folder["recovered"]))
        {
            listing = Restored.Listing(mount.Folder);
        }

        await Tool.RunAsync("btrfs", "check", "--readonly", folder[image]);
        return listing;
    }

    private static async Task<VolumeAnalysis> AnalyseAsync(string image, VolumeCondition condition)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        return await Recogniser.AnalyseAsync(volume, condition, TestContext.Current.CancellationToken);
    }
}
