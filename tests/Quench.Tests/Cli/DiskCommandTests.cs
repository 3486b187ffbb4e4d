using System.Text.Json;
using Quench.Cli;
using Xunit;

namespace Quench.Tests.Cli;

/// <summary>Whole disks on the command line: imaged, shown, and given back to disks of other sizes, with the programs of others as judges.</summary>
public sealed class DiskCommandTests : IDisposable
{
    private const long MiB = 1 << 20;

    private readonly TemporaryDirectory _directory = new();
    private readonly ScriptedHost _host = new();

    public DiskCommandTests()
    {
        _host.Variables["QUENCH_PASSWORD"] = "password";
        _host.Variables["QUENCH_VAULT"] = _directory["vault"];
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_disk_as_windows_lays_it_out_comes_back_onto_disks_of_other_sizes()
    {
        MadeDisk disk = await MadeDisk.WindowsAsync(_directory["disk.img"]);
        await BackUpAsync(disk);
        await ShowsAsync();

        await RestoreAsync(_directory["same.img"], 0);
        await DemandGoodAsync(disk, _directory["same.img"], "start= 321536, size= 81920");
        await RestoreAsync(_directory["larger.img"], 263 * MiB);
        await DemandGoodAsync(disk, _directory["larger.img"], "start= 321536, size= 81920");
        await RestoreAsync(_directory["grown.img"], 263 * MiB, "--grow-last");
        await DemandGoodAsync(disk, _directory["grown.img"], "start= 321536, size= 215040");
        await RestoreAsync(_directory["smaller.img"], 198 * MiB);
        await DemandGoodAsync(disk, _directory["smaller.img"], "start= 321536, size= 81920");
        await DoneAsync("verify", "latest", "--level", "restored");
    }

    [Fact]
    public async Task A_disk_with_logical_partitions_comes_back_with_its_boot_code()
    {
        MadeDisk disk = await MadeDisk.LogicalAsync(_directory["disk.img"]);
        await BackUpAsync(disk);
        await RestoreAsync(_directory["same.img"], 0);
        await DemandGoodAsync(disk, _directory["same.img"], "start= 811008, size= 32768");
        Assert.Equal(await HeadAsync(disk.Path), await HeadAsync(_directory["same.img"]));
        await using (FileStream file = File.Create(_directory["grown.img"]))
        {
            file.SetLength(460 * MiB);
        }

        await RestoreAsync(_directory["grown.img"], 0, "--grow-last");
        await DemandGoodAsync(disk, _directory["grown.img"], "start= 811008, size= 131072");
        Assert.Equal((await HeadAsync(disk.Path))[512..], (await HeadAsync(_directory["grown.img"]))[512..]);
    }

    [Fact]
    public async Task One_partition_goes_into_a_file_or_an_existing_partition()
    {
        MadeDisk disk = await MadeDisk.WindowsAsync(_directory["disk.img"]);
        await BackUpAsync(disk);
        await DoneAsync("restore", "latest", _directory["three.img"], "--partition", "3", "--verify");
        Assert.Equal(100 * MiB, new FileInfo(_directory["three.img"]).Length);
        await disk.DemandSameAsync(_directory["three.img"], 3);

        Noise(_directory["one.img"], 44 * MiB);
        byte[] end = File.ReadAllBytes(_directory["one.img"])[(int)(40 * MiB)..];
        await DoneAsync("restore", "latest", _directory["one.img"], "--partition", "1", "--yes", "--verify");
        Assert.Equal(end, File.ReadAllBytes(_directory["one.img"])[(int)(40 * MiB)..]);
        await disk.DemandSameAsync(_directory["one.img"], 1);
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_before_anything_is_touched()
    {
        MadeDisk disk = await MadeDisk.WindowsAsync(_directory["disk.img"]);
        await BackUpAsync(disk);
        Noise(_directory["small.img"], 197 * MiB);
        byte[] before = await HeadAsync(_directory["small.img"]);
        await RefusedAsync("RST-112", "partition 4 ends at byte", "restore", "latest", _directory["small.img"], "--yes");
        await RefusedAsync("RST-111", "no partition 9", "restore", "latest", _directory["small.img"], "--yes", "--partition", "9");
        Noise(_directory["tiny.img"], 30 * MiB);
        await RefusedAsync("RST-103", "partition 4 of disk.img needs", "restore", "latest", _directory["tiny.img"], "--yes", "--partition", "4");
        Assert.Equal(before, await HeadAsync(_directory["small.img"]));
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, "restore", "latest", _directory["x"], "--partition", "1", "--grow-last"));
    }

    [Fact]
    public async Task Inspecting_tells_what_a_backup_would_read()
    {
        MadeDisk disk = await MadeDisk.WindowsAsync(_directory["disk.img"]);
        await DoneAsync("inspect", disk.Path, "--picture", _directory["map.svg"]);
        string words = _host.Output.ToString();
        Assert.Contains("gpt disk of 256 MiB", words, StringComparison.Ordinal);
        Assert.Contains("Microsoft reserved", words, StringComparison.Ordinal);
        Assert.Contains("Windows", words, StringComparison.Ordinal);
        Assert.Contains("<svg", await File.ReadAllTextAsync(_directory["map.svg"], Token), StringComparison.Ordinal);
        System.Xml.Linq.XDocument.Load(_directory["map.svg"]);
        await DoneAsync("inspect", disk.Path, "--facts");
        using JsonDocument facts = JsonDocument.Parse(_host.LastLine);
        await DoneAsync("inspect", disk.Path, "--json");
        using JsonDocument map = JsonDocument.Parse(_host.LastLine);
        JsonElement[] runs = [.. map.RootElement.EnumerateArray()];
        Assert.Equal(256 * MiB, runs.Sum(run => run.GetProperty("length").GetInt64()));
        Assert.Equal(0, runs[0].GetProperty("start").GetInt64());
        Assert.All(runs.Zip(runs.Skip(1)), pair => Assert.Equal(pair.Second.GetProperty("start").GetInt64(), pair.First.GetProperty("start").GetInt64() + pair.First.GetProperty("length").GetInt64()));
        long used = runs.Where(run => run.GetProperty("data").GetBoolean()).Sum(run => run.GetProperty("length").GetInt64());
        Assert.Equal(facts.RootElement.GetProperty("used_bytes").GetInt64(), used);
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", disk.Path, "--json");
        using JsonDocument summary = JsonDocument.Parse(_host.LastLine);
        Assert.Equal(used, summary.RootElement.GetProperty("used_bytes").GetInt64());
        await RefusedAsync("CLI-151", "can't be written", "inspect", disk.Path, "--picture", _directory["map.svg"]);
    }

    private async Task BackUpAsync(MadeDisk disk)
    {
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", disk.Path, "--prove", "--require", "file-system");
    }

    private async Task ShowsAsync()
    {
        await DoneAsync("show", "latest");
        string words = _host.Output.ToString();
        Assert.Contains("gpt disk of 256 MiB, sectors of 512 bytes", words, StringComparison.Ordinal);
        Assert.Contains("Windows recovery", words, StringComparison.Ordinal);
        Assert.Contains("SYSTEM", words, StringComparison.Ordinal);
        await DoneAsync("show", "latest", "--json");
        using JsonDocument point = JsonDocument.Parse(_host.LastLine);
        JsonElement disk = point.RootElement.GetProperty("volumes")[0].GetProperty("disk");
        Assert.Equal(["fat32", "", "ntfs", "ntfs"], disk.GetProperty("partitions").EnumerateArray().Select(partition => partition.GetProperty("file_system").GetString()));
        Assert.All(disk.GetProperty("partitions").EnumerateArray(), partition => Assert.Equal("at-rest", partition.GetProperty("condition").GetString()));
    }

    /// <summary>Onto a disk full of noise; a new file when no length is given.</summary>
    private async Task RestoreAsync(string target, long length, params string[] options)
    {
        if (length > 0)
        {
            Noise(target, length);
        }

        await DoneAsync(["restore", "latest", target, "--yes", "--verify", .. options]);
    }

    private static async Task DemandGoodAsync(MadeDisk disk, string restored, string lastPartition)
    {
        await FileSystems.Tool.RunAsync("sfdisk", "--verify", restored);
        string dump = await FileSystems.Tool.RunAsync("sfdisk", "--dump", restored);
        Assert.Contains(string.Join(' ', lastPartition.Split(' ', StringSplitOptions.RemoveEmptyEntries)), string.Join(' ', dump.Split(' ', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
        if (dump.Contains("label: gpt", StringComparison.Ordinal))
        {
            Assert.Contains("No problems found", await FileSystems.Tool.RunAsync("sgdisk", "-v", restored), StringComparison.Ordinal);
        }

        await disk.DemandSameFilesAsync(restored);
    }

    private static async Task<byte[]> HeadAsync(string path)
    {
        byte[] head = new byte[MiB];
        await using FileStream file = File.OpenRead(path);
        await file.ReadExactlyAsync(head, Token);
        return head;
    }

    private static void Noise(string path, long length)
    {
        byte[] noise = new byte[MiB];
        new Random(7).NextBytes(noise);
        using FileStream file = File.Create(path);
        for (long at = 0; at < length; at += noise.Length)
        {
            file.Write(noise, 0, (int)Math.Min(noise.Length, length - at));
        }
    }

    private async Task RefusedAsync(string code, string words, params string[] args)
    {
        Assert.NotEqual(ExitCodes.Done, await _host.RunAsync(Token, args));
        Assert.Contains(code, _host.Error.ToString(), StringComparison.Ordinal);
        Assert.Contains(words, _host.Error.ToString(), StringComparison.Ordinal);
    }

    private async Task DoneAsync(params string[] args)
    {
        int code = await _host.RunAsync(Token, args);
        Assert.True(code == ExitCodes.Done, $"quench {string.Join(' ', args)} ended with {code}:\n{_host.Error}");
    }
}
