using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>What a point gives back, wherever it is written to: the same file system with the same files, and nothing of what was there before.</summary>
public sealed class RestoreTests : IAsyncLifetime
{
    private const long Length = 96L << 20;
    private const int MiB = 1 << 20;

    private readonly TempFolder _folder = new("restore");
    private LiveVolume? _volume;
    private QuenchCli? _cli;
    private string _point = "";
    private IReadOnlyDictionary<string, string> _files = new Dictionary<string, string>();

    public async ValueTask InitializeAsync()
    {
        Requires.LiveVolumes();
        try
        {
            await BackUpAsync();
        }
        catch
        {
            await DisposeAsync(); // nobody else does when a test could not begin
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_volume is not null)
        {
            await _volume.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Fact]
    public async Task A_path_that_does_not_exist_becomes_a_sparse_file_of_the_volumes_size()
    {
        await RestoreAsync(_folder["new.img"]);

        FileStatus status = NativeFile.TryGetStatus(_folder["new.img"])!.Value;
        Assert.Equal(Length, status.Length);
        Assert.True(status.AllocatedBytes < Length / 2, $"{status.AllocatedBytes} bytes of {Length} are allocated");
        await DemandSameFilesAsync(_folder["new.img"]);
    }

    [Fact]
    public async Task A_device_full_of_something_else_holds_the_same_file_system_afterwards()
    {
        string backing = _folder["device.img"];
        FillWithNoise(backing, Length);
        await using LoopedFile device = await LoopedFile.AttachAsync(backing);

        await RestoreAsync(device.Device);

        await DemandSameFilesAsync(device.Device);
    }

    [Fact]
    public async Task A_file_larger_than_the_volume_holds_the_same_file_system_at_its_start()
    {
        FillWithNoise(_folder["larger.img"], Length + (5 * MiB));

        await RestoreAsync(_folder["larger.img"]);

        Assert.Equal(Length + (5 * MiB), new FileInfo(_folder["larger.img"]).Length);
        await DemandSameFilesAsync(_folder["larger.img"]);
    }

    [Fact]
    public async Task Restoring_twice_gives_the_same_bytes()
    {
        await RestoreAsync(_folder["first.img"]);
        await RestoreAsync(_folder["second.img"]);

        Assert.Equal(HashOf(_folder["first.img"]), HashOf(_folder["second.img"]));
    }

    private async Task BackUpAsync()
    {
        _volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        _files = MakeFiles(_volume.MountPoint);
        _cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        JsonElement summary = await _cli.BackupAsync(_volume.Name, "--prove");
        _point = summary.GetProperty("point").GetString()!;
    }

    private Task<ProcessResult> RestoreAsync(string target) => _cli!.RunAsync("restore", _point, target, "--yes");

    private async Task DemandSameFilesAsync(string image)
    {
        await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
        string mountPoint = _folder.MakeFolder("mount");
        await using RestoredImage inside = await RestoredImage.MountAsync(image, VolumeKind.Ext4, mountPoint);
        Assert.Equal(_files, HashesBelow(mountPoint));
    }

    /// <summary>A handful of files of many shapes, some deleted again so that free blocks hold old bytes.</summary>
    private static SortedDictionary<string, string> MakeFiles(string mountPoint)
    {
        Random random = new(1);
        for (int index = 0; index < 60; index++)
        {
            byte[] content = new byte[random.Next(1, 600_000)];
            random.NextBytes(content.AsSpan(0, random.Next(content.Length)));
            string folder = Directory.CreateDirectory(Path.Combine(mountPoint, $"folder-{index % 7}")).FullName;
            File.WriteAllBytes(Path.Combine(folder, $"file-{index}"), content);
        }

        using (SafeFileHandle sparse = NativeFile.Open(Path.Combine(mountPoint, "sparse"), OpenMode.WriteOnly | OpenMode.Create))
        {
            NativeFile.Write(sparse, new byte[] { 1, 2, 3 }, 30 * MiB);
            NativeFile.SyncFileSystem(sparse);
        }

        for (int index = 0; index < 60; index += 5)
        {
            File.Delete(Path.Combine(mountPoint, $"folder-{index % 7}", $"file-{index}"));
        }

        return HashesBelow(mountPoint);
    }

    private static SortedDictionary<string, string> HashesBelow(string folder) => new(
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(path => Path.GetRelativePath(folder, path), HashOf),
        StringComparer.Ordinal);

    private static string HashOf(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexString(SHA256.HashData(file));
    }

    private static void FillWithNoise(string path, long length)
    {
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.WriteOnly | OpenMode.Create);
        byte[] noise = new byte[MiB];
        Random random = new(2);
        for (long at = 0; at < length; at += noise.Length)
        {
            random.NextBytes(noise);
            NativeFile.Write(file, noise, at);
        }
    }
}
