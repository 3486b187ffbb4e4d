using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A whole disk attached through Quench, with its partitions mounted and written: imaged at one instant, and given back.</summary>
public sealed class AttachedDiskTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;

    private readonly TempFolder _folder = new("disk");
    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"{Leftovers.NamePrefix}{Environment.ProcessId}-disk");
    private QuenchCli? _cli;
    private string? _device;

    public async ValueTask InitializeAsync()
    {
        Requires.LiveVolumes();
        Requires.Tool("sfdisk", "sgdisk", "mkfs.fat", "fsck.fat");
        try
        {
            _cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
            await MakeDiskAsync();
            ProcessResult attached = await _cli.RunAsync("attach", _folder["disk.img"], "--name", _name);
            _device = attached.Output.Trim();
            Assert.Contains("a disk with 3 partitions", attached.Error, StringComparison.Ordinal);
        }
        catch
        {
            await DisposeAsync(); // nobody else does when a test could not begin
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await TempMounts.UnmountAsync(_folder);
        if (_device is not null && (await _cli!.TryRunAsync("detach", _name)).ExitCode != 0)
        {
            await Leftovers.TearDownAsync(_name);
        }

        TrackingState.Clear(_name);
        _folder.Dispose();
    }

    [Fact]
    public async Task Partitions_that_are_written_are_frozen_together_and_come_back_clean()
    {
        await MountAsync(2, "root");
        await MountAsync(3, "home");
        File.WriteAllBytes(_folder["root"] + "/before", RandomNumberGenerator.GetBytes(2_000_000));
        File.WriteAllBytes(_folder["home"] + "/before", RandomNumberGenerator.GetBytes(1_000_000));
        using CancellationTokenSource enough = new();
        Task writing = Task.Run(() => Scribble([_folder["root"] + "/busy", _folder["home"] + "/busy"], enough.Token), CancellationToken.None);
        JsonElement summary = await _cli!.BackupAsync(_name, "--prove");
        await enough.CancelAsync();
        await writing;
        Assert.Equal("file-system", summary.GetProperty("grade").GetString());
        Assert.True(summary.GetProperty("freeze_ms").GetDouble() > 0);
        Assert.Equal(["at-rest", "frozen", "frozen"], await ConditionsAsync());

        await _cli.RunAsync("restore", "latest", _folder["back.img"], "--yes", "--verify");
        await DemandGoodAsync(_folder["back.img"]);
        await _cli.RunAsync("verify", "latest", "--level", "restored");
    }

    [Fact]
    public async Task A_partition_that_can_not_be_frozen_lowers_the_grade_and_is_named()
    {
        Requires.Tool("mkntfs", "ntfs-3g");
        await Tool.RunAsync("mkntfs", "-F", "-Q", "-q", $"{_device}p1");
        await Tool.RunAsync("ntfs-3g", $"{_device}p1", _folder.MakeFolder("data"));
        await MountAsync(2, "root");
        File.WriteAllBytes(_folder["root"] + "/before", RandomNumberGenerator.GetBytes(2_000_000));
        JsonElement summary = await _cli!.BackupAsync(_name);
        Assert.Equal("crash", summary.GetProperty("grade").GetString());
        Assert.Equal(["running", "frozen", "at-rest"], await ConditionsAsync());
        Assert.Equal(11, (await _cli.TryRunAsync("detach", _name)).ExitCode);
        File.WriteAllBytes(_folder["root"] + "/still", [1]); // it is still served
        ProcessResult refused = await _cli.TryRunAsync("backup", _name, "--require", "file-system");
        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("partition 1 (ntfs) may have been written and was not frozen", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_changed_is_all_that_the_next_backup_reads()
    {
        await MountAsync(2, "root");
        await _cli!.BackupAsync(_name);
        File.WriteAllBytes(_folder["root"] + "/more", RandomNumberGenerator.GetBytes(3_000_000));
        await Tool.RunAsync("umount", _folder["root"]);
        JsonElement summary = await _cli.BackupAsync(_name);
        Assert.Equal(["running", "running", "running"], await ConditionsAsync()); // nobody can tell whether somebody else uses it
        await Tool.RunAsync("mount", $"{_device}p2", _folder["root"]);
        Assert.Equal("changes", summary.GetProperty("scan").GetString());
        await _cli.RunAsync("restore", "latest", _folder["back.img"], "--yes", "--verify");
        await DemandGoodAsync(_folder["back.img"], number: 2, name: "more", original: _folder["root"] + "/more");
    }

    [Fact]
    public async Task A_disk_that_is_used_through_a_partition_that_can_not_be_frozen_is_refused_with_the_ways_out()
    {
        Requires.Tool("partx", "mkntfs", "ntfs-3g");
        File.Copy(_folder["disk.img"], _folder["other.img"]);
        string loop = (await Tool.RunAsync("losetup", "--find", "--show", "--partscan", _folder["other.img"])).Trim();
        try
        {
            await Tool.RunAsync("partx", "--update", loop);
            await Tool.RunAsync("mkntfs", "-F", "-Q", "-q", $"{loop}p1");
            await Tool.RunAsync("ntfs-3g", $"{loop}p1", _folder.MakeFolder("other"));
            ProcessResult refused = await _cli!.RefusedAsync(11, "SRC-103", "backup", loop);
            Assert.Contains("image its partitions one by one", refused.Error, StringComparison.Ordinal);
            ProcessResult target = await _cli.RunAsync("backup", _folder["script"]); // any point will do
            Assert.NotEmpty(target.Output);
            await _cli.RefusedAsync(11, "RST-104", "restore", "latest", loop, "--yes");
        }
        finally
        {
            await Tool.TryRunAsync("umount", _folder["other"]);
            await Tool.RunAsync("losetup", "-d", loop);
        }
    }

    /// <summary>EFI of 16 MiB, ext4 of 64 MiB, ext4 of 48 MiB, boot code in between, and room left over.</summary>
    private async Task MakeDiskAsync()
    {
        string disk = _folder["disk.img"];
        using (SafeFileHandle file = NativeFile.Open(disk, OpenMode.ReadWrite | OpenMode.Create))
        {
            NativeFile.SetLength(file, 200 * MiB);
        }

        await File.WriteAllTextAsync(
            _folder["script"], "label: gpt\nsize=16MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\nsize=64MiB, name=root\nsize=48MiB, name=home\n");
        await Tool.RunAsync("sh", "-c", $"sfdisk -q --no-reread {disk} < {_folder["script"]}");
        await Tool.RunAsync("mkfs.fat", "-F", "16", "--offset", "2048", disk, "16384");
        await Tool.RunAsync("mkfs.ext4", "-q", "-F", "-E", $"offset={17 * MiB}", disk, "64m");
        await Tool.RunAsync("mkfs.ext4", "-q", "-F", "-E", $"offset={81 * MiB}", disk, "48m");
    }

    private async Task MountAsync(int number, string name) => await Tool.RunAsync("mount", $"{_device}p{number}", _folder.MakeFolder(name));

    private static void Scribble(string[] files, CancellationToken enough)
    {
        byte[] block = new byte[64 * 1024];
        SafeFileHandle[] handles = [.. files.Select(file => NativeFile.Open(file, OpenMode.ReadWrite | OpenMode.Create))];
        for (int round = 0; !enough.IsCancellationRequested; round++)
        {
            foreach (SafeFileHandle file in handles)
            {
                RandomNumberGenerator.Fill(block);
                NativeFile.Write(file, block, round % 64 * block.Length);
                NativeFile.Sync(file);
            }
        }

        Array.ForEach(handles, file => file.Dispose());
    }

    private async Task<string[]> ConditionsAsync()
    {
        ProcessResult shown = await _cli!.RunAsync("show", "latest", "--json");
        JsonElement disk = JsonDocument.Parse(shown.Output).RootElement.GetProperty("volumes")[0].GetProperty("disk");
        return [.. disk.GetProperty("partitions").EnumerateArray().Select(partition => partition.GetProperty("condition").GetString()!)];
    }

    private async Task DemandGoodAsync(string image)
    {
        Assert.Contains("No problems found", await Tool.RunAsync("sgdisk", "-v", image), StringComparison.Ordinal);
        await DemandGoodAsync(image, 2, "before", _folder["root"] + "/before");
        await DemandGoodAsync(image, 3, "before", _folder["home"] + "/before");
        await _cli!.RunAsync("restore", "latest", _folder["part1"], "--partition", "1", "--yes");
        await Tool.RunAsync("fsck.fat", "-n", _folder["part1"]);
    }

    /// <summary>One partition of a restored disk: clean by its own checker as it is, and a file on it equal.</summary>
    private async Task DemandGoodAsync(string image, int number, string name, string original)
    {
        string loop = (await Tool.RunAsync("losetup", "--find", "--show", "--read-only", "--offset", $"{(number == 2 ? 17 : 81) * MiB}", "--sizelimit", $"{(number == 2 ? 64 : 48) * MiB}", image)).Trim();
        try
        {
            await RestoredImage.DemandCleanAsync(loop, VolumeKind.Ext4);
            await Tool.RunAsync("debugfs", "-R", $"dump /{name} {_folder["out"]}", loop);
            Assert.True(File.ReadAllBytes(original).AsSpan().SequenceEqual(File.ReadAllBytes(_folder["out"])));
        }
        finally
        {
            await Tool.RunAsync("losetup", "-d", loop);
        }
    }
}
