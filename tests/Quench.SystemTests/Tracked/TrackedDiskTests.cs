using System.Globalization;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Coordination;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>A whole disk whose partitions are mounted and that nobody prepared: imaged at one instant, partition table and all, and given back.</summary>
public sealed class TrackedDiskTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;

    private static readonly (int Number, long Offset, long Length)[] s_partitions = [(1, 1, 16), (2, 17, 64), (3, 81, 48)]; // MiB

    private readonly TempFolder _folder = new("disk");
    private readonly string? _runFolderBefore = Environment.GetEnvironmentVariable("QUENCH_RUN_DIR");
    private QuenchCli? _cli;
    private string? _device;

    public async ValueTask InitializeAsync()
    {
        Requires.Root();
        Requires.Loop();
        Requires.Tool("sfdisk", "sgdisk", "partx", "mkntfs", "ntfs-3g");
        Environment.SetEnvironmentVariable("QUENCH_RUN_DIR", _folder.MakeFolder("run"));
        try
        {
            _cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
            await MakeDiskAsync(_folder["disk.img"]);
            _device = await AttachAsync(_folder["disk.img"], "--direct-io=on");
            await Tool.RunAsync("mkntfs", "-F", "-Q", "-q", $"{_device}p1");
            await Tool.RunAsync("mkfs.ext4", "-q", "-F", $"{_device}p2");
            await Tool.RunAsync("mkfs.ext4", "-q", "-F", $"{_device}p3");
            await Tool.RunAsync("mount", $"{_device}p2", _folder.MakeFolder("root"));
            await Tool.RunAsync("mount", $"{_device}p3", _folder.MakeFolder("home"));
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
        if (_device is not null)
        {
            await Tool.RunAsync("losetup", "-d", _device);
        }

        Environment.SetEnvironmentVariable("QUENCH_RUN_DIR", _runFolderBefore);
        _folder.Dispose();
    }

    [Fact]
    public async Task Partitions_that_are_written_have_one_instant_and_the_next_backup_reads_what_changed()
    {
        await using CounterPair pair = new(_folder["root"] + "/counter", _folder["home"] + "/counter");
        await pair.GoOnAsync(20);
        JsonElement first = await _cli!.BackupAsync(_device!);
        Assert.Equal(("tracked", "file-system", "full"), Said(first));
        Assert.Equal(["at-rest", "frozen", "frozen"], await ConditionsAsync());
        await DemandOneInstantAsync();

        await pair.GoOnAsync(20);
        JsonElement second = await _cli.BackupAsync(_device!);
        Assert.Equal(("tracked", "file-system", "changes"), Said(second));
        Assert.True(second.GetProperty("read_bytes").GetInt64() < first.GetProperty("read_bytes").GetInt64());
        await DemandOneInstantAsync();
    }

    [Fact]
    public async Task A_partition_that_can_not_be_frozen_and_is_written_by_nobody_lowers_the_grade_and_is_named()
    {
        await Tool.RunAsync("ntfs-3g", $"{_device}p1", _folder.MakeFolder("data"));
        await File.WriteAllTextAsync(_folder["data"] + "/file", "written before", TestContext.Current.CancellationToken);
        await using CounterPair pair = new(_folder["root"] + "/counter", _folder["home"] + "/counter");
        await pair.GoOnAsync(5);
        ProcessResult backup = await _cli!.TryRunAsync("backup", _device!, "--require", "file-system");
        Assert.Equal(3, backup.ExitCode);
        Assert.Contains("partition 1 (ntfs) may have been written and was not frozen", backup.Error, StringComparison.Ordinal);
        Assert.Equal(["running", "frozen", "frozen"], await ConditionsAsync());
        await DemandOneInstantAsync();
    }

    [Fact]
    public async Task A_partition_alone_and_the_disk_that_it_is_on_are_not_two_volumes()
    {
        await _cli!.RefusedAsync(2, "SRC-105", "backup", _device!, _folder["root"]);
        Assert.Equal("tracked", (await _cli.BackupAsync($"{_device}p2", $"{_device}p3")).GetProperty("provider").GetString());
    }

    [Fact]
    public async Task A_component_on_a_partition_and_behind_a_bind_mount_comes_back_out_of_the_disks_image()
    {
        Requires.Tool("python3");
        CancellationToken stop = TestContext.Current.CancellationToken;
        string bound = _folder.MakeFolder("bound");
        Directory.CreateDirectory(_folder["home"] + "/deep/er");
        await Tool.RunAsync("mount", "--bind", _folder["home"] + "/deep", bound);
        string data = _folder["root"] + "/data";
        WriterProgram writer = new(_folder, data, alsoIn: bound + "/er");
        await File.WriteAllTextAsync(data + "/one", "one", stop);
        await File.WriteAllTextAsync(bound + "/er/two", "two", stop);
        await _cli!.BackupAsync(_device!, "--writer-folder", writer.Folder);
        JsonElement component = JsonDocument.Parse((await _cli.RunAsync("show", "latest", "--json")).Output).RootElement.GetProperty("coordination").GetProperty("writers")[0].GetProperty("components")[0];
        Assert.Equal(
            [(data, 17 * MiB, "/data"), (bound + "/er", 81 * MiB, "/deep/er")],
            component.GetProperty("places").EnumerateArray().Select(place => (place.GetProperty("folder").GetString()!, place.GetProperty("offset").GetInt64(), place.GetProperty("path").GetString()!)));
        string elsewhere = _folder["elsewhere"];
        await _cli.RunAsync("restore", "latest", "--component", "Test", "--to", elsewhere);
        Assert.Equal("one", await File.ReadAllTextAsync(elsewhere + data + "/one", stop));
        Assert.Equal("two", await File.ReadAllTextAsync(elsewhere + bound + "/er/two", stop));
    }

    private static (string? Provider, string? Grade, string? Scan) Said(JsonElement summary) =>
        (summary.GetProperty("provider").GetString(), summary.GetProperty("grade").GetString(), summary.GetProperty("scan").GetString());

    /// <summary>Restores the disk and looks: the table is valid, both file systems are clean as they are, and the counters show one instant.</summary>
    private async Task DemandOneInstantAsync()
    {
        string image = _folder["back.img"];
        await _cli!.RunAsync("restore", "latest", image, "--yes", "--verify");
        Assert.Contains("No problems found", await Tool.RunAsync("sgdisk", "-v", image), StringComparison.Ordinal);
        await ExtractAsync(image, 2);
        await ExtractAsync(image, 3);
        CounterPair.DemandOneInstant(_folder["counter2"], _folder["counter3"]);
    }

    private async Task ExtractAsync(string image, int number)
    {
        (_, long offset, long length) = s_partitions[number - 1];
        string loop = await AttachAsync(image, "--read-only", "--offset", Bytes(offset), "--sizelimit", Bytes(length));
        try
        {
            await RestoredImage.DemandCleanAsync(loop, VolumeKind.Ext4);
            await Tool.RunAsync("debugfs", "-R", $"dump /counter {_folder[$"counter{number}"]}", loop);
        }
        finally
        {
            await Tool.RunAsync("losetup", "-d", loop);
        }
    }

    private static async Task<string> AttachAsync(string file, params string[] options)
    {
        string loop = (await Tool.RunAsync("losetup", ["--find", "--show", .. options, file])).Trim();
        if (!options.Contains("--offset"))
        {
            await Tool.RunAsync("partx", "--update", loop);
        }

        return loop;
    }

    private static async Task MakeDiskAsync(string disk)
    {
        using (SafeFileHandle file = NativeFile.Open(disk, OpenMode.ReadWrite | OpenMode.Create))
        {
            NativeFile.SetLength(file, 200 * MiB);
        }

        await File.WriteAllTextAsync(disk + ".table", "label: gpt\n" + string.Concat(s_partitions.Select(partition => string.Create(CultureInfo.InvariantCulture, $"start={partition.Offset}MiB, size={partition.Length}MiB\n"))));
        await Tool.RunAsync("sh", "-c", $"sfdisk -q --no-reread {disk} < {disk}.table");
    }

    private static string Bytes(long mebibytes) => (mebibytes * MiB).ToString(CultureInfo.InvariantCulture);

    private async Task<string[]> ConditionsAsync()
    {
        ProcessResult shown = await _cli!.RunAsync("show", "latest", "--json");
        JsonElement disk = JsonDocument.Parse(shown.Output).RootElement.GetProperty("volumes")[0].GetProperty("disk");
        return [.. disk.GetProperty("partitions").EnumerateArray().Select(partition => partition.GetProperty("condition").GetString()!)];
    }
}
