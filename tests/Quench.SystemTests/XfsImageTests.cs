using System.Security.Cryptography;
using System.Text.Json;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>XFS through the whole product: an image that leaves free blocks out restores to a sound file system with the same files.</summary>
public sealed class XfsImageTests : IDisposable
{
    private const long Length = 320L << 20;

    private readonly TempFolder _folder = new("xfs");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_frozen_volume_and_the_same_at_rest_are_imaged_without_their_free_blocks_and_restore_whole()
    {
        Requires.LiveVolumes();
        Requires.Tool("mkfs.xfs", "xfs_repair");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Xfs, Length);
        SortedDictionary<string, string> files = MakeFiles(volume.MountPoint);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);

        await DemandRestoresAsync(cli, await cli.BackupAsync(volume.Name, "--prove"), "hot.img", files);
        await volume.DetachCleanlyAsync();
        await DemandRestoresAsync(cli, await cli.BackupAsync(volume.Origin, "--prove"), "cold.img", files);
    }

    private async Task DemandRestoresAsync(QuenchCli cli, JsonElement summary, string name, SortedDictionary<string, string> files)
    {
        Assert.Equal("xfs", summary.GetProperty("file_system").GetString());
        Assert.Equal(JsonValueKind.Null, summary.GetProperty("map_doubt").ValueKind);
        Assert.InRange(summary.GetProperty("used_bytes").GetInt64(), 1, Length / 2);

        string target = _folder[name];
        FillWithNoise(target);
        await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, target, "--yes");
        string mountPoint = _folder.MakeFolder(name + ".mnt");
        await RestoredImage.ReplayJournalAsync(target, VolumeKind.Xfs, mountPoint); // a freeze leaves the superblock to be written once more
        await RestoredImage.DemandCleanAsync(target, VolumeKind.Xfs);
        await using RestoredImage inside = await RestoredImage.MountAsync(target, VolumeKind.Xfs, mountPoint);
        Assert.Equal(files, HashesBelow(mountPoint));
    }

    private static SortedDictionary<string, string> MakeFiles(string mountPoint)
    {
        Random random = new(1);
        for (int index = 0; index < 80; index++)
        {
            byte[] content = new byte[random.Next(1, 600_000)];
            random.NextBytes(content);
            string folder = Directory.CreateDirectory(Path.Combine(mountPoint, $"folder-{index % 7}")).FullName;
            File.WriteAllBytes(Path.Combine(folder, $"file-{index}"), content);
        }

        for (int index = 0; index < 80; index += 3)
        {
            File.Delete(Path.Combine(mountPoint, $"folder-{index % 7}", $"file-{index}"));
        }

        return HashesBelow(mountPoint);
    }

    private static SortedDictionary<string, string> HashesBelow(string folder) => new(
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(
            path => Path.GetRelativePath(folder, path), path => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(path)))),
        StringComparer.Ordinal);

    private static void FillWithNoise(string path)
    {
        using FileStream file = File.Create(path);
        byte[] noise = new byte[1 << 20];
        Random random = new(2);
        for (long at = 0; at < Length; at += noise.Length)
        {
            random.NextBytes(noise);
            file.Write(noise);
        }
    }
}
