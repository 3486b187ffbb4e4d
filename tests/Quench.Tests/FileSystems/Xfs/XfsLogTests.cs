using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>A log that holds work: the free space on the disk is behind it, so all is in use, and what is restored from that is whole.</summary>
public sealed class XfsLogTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("copied while mounted", "")]
    [InlineData("shut down, log written", "shutdown -f")]
    [InlineData("shut down as it was", "shutdown")]
    public async Task A_log_that_holds_work_puts_everything_in_use_and_what_is_restored_recovers(string how, string shutdown)
    {
        Tool.Require("mkfs.xfs", "xfs_db", "xfs_io", "xfs_repair");
        Tool.RequireRoot();
        using TempFolder folder = new();
        await CrashAsync(folder, shutdown);
        VolumeAnalysis ours = await AnalyseAsync(folder["crashed.img"], VolumeCondition.AtRest);
        Judgement.ExpectDoubt(ours, "log holds changes that are not in their places yet");
        Assert.Equal(FileSystemState.NeedsRecovery, ours.FileSystem!.State);

        UsedBlocks behind = await XfsWitness.AskXfsDbAsync(folder["crashed.img"]);
        await Restored.WriteAsync(folder["crashed.img"], ours.Used, folder["restored.img"], new Random(1));
        await Restored.WriteAsync(folder["crashed.img"], behind, folder["behind.img"], new Random(1));
        IReadOnlyList<string> whole = await RecoverAsync(folder, "crashed.img");
        Assert.Contains(whole, line => line.Contains("waited-for-7", StringComparison.Ordinal));
        Assert.Equal(whole, await RecoverAsync(folder, "restored.img"));
        long lacking = Lacking(behind, (await AnalyseAsync(folder["crashed.img"], VolumeCondition.AtRest)).Used);
        output.WriteLine($"{how}: {whole.Count} entries came back; {lacking} bytes of them are free by the trees on the disk alone");
        Assert.True(lacking > 0, "the trees on the disk were not behind: the doubt was not tried");
        Assert.NotEqual(whole, await TryRecoverAsync(folder, "behind.img"));
    }

    /// <summary>Leaves crashed.img: files on the disk and in its trees, then others of which only the log knows.</summary>
    private static async Task CrashAsync(TempFolder folder, string shutdown)
    {
        await Tool.RunAsync("truncate", "-s", "320M", folder["live.img"]);
        await Tool.RunAsync("mkfs.xfs", "-q", folder["live.img"]);
        await using (LoopMount mount = await LoopMount.MountAsync(folder["live.img"], folder["mnt"]))
        {
            XfsMaker.Work(mount.Folder, new Random(5), reflinks: true);
            await mount.WhileFrozenAsync(() => Task.CompletedTask);
            for (int index = 0; index < 8; index++)
            {
                await Tool.RunAsync("xfs_io", "-f", "-c", $"pwrite -S {index + 1} 0 {(index + 1) * 300}k", "-c", "fsync", Path.Combine(mount.Folder, $"waited-for-{index}"));
            }

            if (shutdown.Length > 0)
            {
                await Tool.RunAsync("xfs_io", "-x", "-c", shutdown, mount.Folder);
            }
            else
            {
                await Tool.RunAsync("cp", "--sparse=always", folder["live.img"], folder["crashed.img"]);
            }
        }

        if (shutdown.Length > 0)
        {
            await Tool.RunAsync("cp", "--sparse=always", folder["live.img"], folder["crashed.img"]);
        }
    }

    private static async Task<IReadOnlyList<string>> RecoverAsync(TempFolder folder, string image)
    {
        IReadOnlyList<string> listing;
        await using (LoopMount mount = await LoopMount.MountAsync(folder[image], folder["recovered"]))
        {
            listing = Restored.Listing(mount.Folder);
        }

        await Tool.RunAsync("xfs_repair", "-n", "-f", folder[image]);
        return listing;
    }

    /// <summary>The same of one that may not be mountable, or not readable: then nothing.</summary>
    private static async Task<IReadOnlyList<string>> TryRecoverAsync(TempFolder folder, string image)
    {
        try
        {
            await using LoopMount mount = await LoopMount.MountAsync(folder[image], folder["recovered"]);
            return Restored.Listing(mount.Folder);
        }
        catch (Exception failure) when (failure is IOException or Xunit.Sdk.XunitException)
        {
            return [];
        }
    }

    /// <summary>Bytes that one map has in use and another has not.</summary>
    private static long Lacking(UsedBlocks map, UsedBlocks wanted)
    {
        long lacking = 0;
        foreach (Extent run in wanted.Runs())
        {
            long first = run.Offset / map.BlockSize;
            long count = Math.Min(map.Bits.Length - first, run.Length / map.BlockSize);
            lacking += (count - map.Bits.CountSet(first, count)) * map.BlockSize;
        }

        return lacking;
    }

    private static async Task<VolumeAnalysis> AnalyseAsync(string image, VolumeCondition condition)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        return await Recogniser.AnalyseAsync(volume, condition, TestContext.Current.CancellationToken);
    }
}
