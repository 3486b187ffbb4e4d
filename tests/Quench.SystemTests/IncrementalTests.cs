using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>An incremental costs what changed: the same change on volumes from a gibibyte to a tebibyte reads the same bytes and stores the same pages.</summary>
public sealed class IncrementalTests
{
    private const int MiB = 1 << 20;
    private const int FileLength = 96 * MiB;
    private const int Writes = 2048; // of 4 KiB each, anywhere in the file
    private const long ChunkSize = 64 * 1024;
    private const long MetadataAllowance = 8L * MiB; // journal, bitmaps, inode: what ext4 writes beside the file
    private const int PagesAllowance = 24; // the same, spread over a larger volume, and two more levels

    // Its own background work, zeroing inode tables, would be counted as change.
    private const string Quiet = "noinit_itable,noatime";

    [Fact]
    public async Task The_same_change_costs_the_same_from_a_gibibyte_to_a_tebibyte()
    {
        RequireHistory();
        int seed = Seed();
        List<Cost> costs = [];
        foreach (long gibibytes in new[] { 1L, 32, 1024 })
        {
            costs.Add(await MeasureAsync(gibibytes, new Random(seed)));
            Figures.Say($"incremental {costs[^1]}");
        }

        Cost small = costs[0];
        Assert.All(costs, cost =>
        {
            Assert.Equal("changes", cost.Scan);
            Assert.InRange(cost.ReadWithoutSample, Writes * 4096L / 2, FileLength + MetadataAllowance);
            Assert.InRange(cost.ReadWithoutSample, 0, small.ReadWithoutSample + MetadataAllowance);
            Assert.InRange(cost.Sampled, 1, 1024);
            Assert.InRange(cost.NewPages, 1, small.NewPages + PagesAllowance);
        });
        Assert.InRange(small.NewPages, 1, (FileLength / (int)(256 * ChunkSize)) + PagesAllowance);
    }

    [Fact]
    public async Task What_an_incremental_gives_back_is_the_volume_at_its_instant()
    {
        RequireHistory();
        Random random = new(Seed());
        using TempFolder folder = new("incremental");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 1L << 30, mountOptions: Quiet);
        string live = Path.Combine(volume.MountPoint, "data");
        WriteFile(live, random);
        await cli.BackupAsync(volume.Name);
        for (int run = 0; run < 3; run++)
        {
            Change(live, random);
            string hash = HashOf(live);
            JsonElement summary = await cli.BackupAsync(volume.Name, run == 2 ? ["--prove"] : []);
            Assert.Equal("changes", summary.GetProperty("scan").GetString());
            string image = folder[$"restored{run}.img"];
            await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, image);
            await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
            await using RestoredImage restored = await RestoredImage.MountAsync(image, VolumeKind.Ext4, folder.MakeFolder($"mnt{run}"));
            Assert.Equal(hash, HashOf(restored["data"]));
        }

        JsonElement full = await cli.BackupAsync(volume.Name, "--full-scan");
        Assert.Equal("full", full.GetProperty("scan").GetString());
        Assert.Equal(0, full.GetProperty("new_bytes").GetInt64() / MiB); // nothing had been missed: a full read finds next to nothing new
    }

    private static int Seed()
    {
        int seed = Chance.Seeds(1).Single();
        TestContext.Current.TestOutputHelper?.WriteLine($"QUENCH_SEED={seed}");
        return seed;
    }

    private static void RequireHistory()
    {
        Requires.LiveVolumes();
        Assert.SkipUnless(typeof(IChangeHistory).IsAssignableFrom(typeof(FilterSnapshot)), "needs a filter that keeps a record of changes");
    }

    private static async Task<Cost> MeasureAsync(long gibibytes, Random random)
    {
        using TempFolder folder = new("incremental");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, gibibytes << 30, mountOptions: Quiet);
        string file = Path.Combine(volume.MountPoint, "data");
        WriteFile(file, random);
        await cli.BackupAsync(volume.Name);
        Change(file, random);
        JsonElement summary = await cli.BackupAsync(volume.Name);
        long sampled = summary.GetProperty("sampled_chunks").GetInt64();
        return new Cost(
            gibibytes,
            summary.GetProperty("scan").GetString()!,
            summary.GetProperty("read_bytes").GetInt64() - (sampled * ChunkSize),
            sampled,
            summary.GetProperty("changed_bytes").GetInt64(),
            summary.GetProperty("new_pages").GetInt64(),
            summary.GetProperty("seconds").GetDouble());
    }

    private static void WriteFile(string path, Random random)
    {
        byte[] bytes = new byte[FileLength];
        random.NextBytes(bytes);
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        RandomAccess.Write(file, bytes, 0);
        NativeFile.Sync(file);
    }

    private static void Change(string path, Random random)
    {
        byte[] block = new byte[4096];
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite);
        for (int write = 0; write < Writes; write++)
        {
            random.NextBytes(block);
            RandomAccess.Write(file, block, random.Next(FileLength / block.Length) * (long)block.Length);
        }

        NativeFile.Sync(file);
    }

    private static string HashOf(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private sealed record Cost(long GiB, string Scan, long ReadWithoutSample, long Sampled, long ChangedBytes, long NewPages, double Seconds);
}
