using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Imaging.Capture.Exclusions;
using Quench.Tests.FileSystems;
using Quench.Tests.Vault;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using VolumeTool = Quench.Tests.FileSystems.Tool;

namespace Quench.Tests.Imaging.Exclusions;

/// <summary>What becomes of a file system of whose files some are left out: sound, with the same names and lengths, zeros in those files, and everything else as it was.</summary>
public sealed class ExclusionCaptureTests : IDisposable
{
    private static readonly string[] s_options = ["-b 4096", "-b 1024 -O ^metadata_csum", "-b 1024 -O ^extent,^64bit", "-b 4096 -O bigalloc -C 65536", "-b 4096 -O inline_data -I 512"];

    private readonly TempFolder _folder = new();

    public static TheoryData<string> Options => [.. s_options];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Options))]
    public async Task What_is_left_out_reads_as_zeros_and_comes_back_whole_once_it_is_not_left_out_any_more(string options)
    {
        VolumeTool.Require("mke2fs", "debugfs", "e2fsck");
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        string image = await MakeAsync(options);
        ImageHistory history = new(image);
        Dictionary<string, byte[]> files = await ContentOfAsync(image);

        CaptureResult first = await CaptureAsync(vault, history, "/cache", prove: true);
        await DemandAsync(vault, first, files, path => path.StartsWith("/cache/", StringComparison.Ordinal), options);
        Assert.Equal(ScanRecord.Full, first.Volume.Scan!.Kind);
        Assert.Empty(first.Warnings);

        CaptureResult second = await CaptureAsync(vault, history, null, prove: true);
        await DemandAsync(vault, second, files, _ => false, options);
        Assert.Equal((ScanRecord.Changes, null), (second.Volume.Scan!.Kind, second.Volume.Exclusions));
        Assert.Equal(first.Volume.UsedBytes + first.Volume.Exclusions!.Bytes, second.Volume.UsedBytes);

        CaptureResult third = await CaptureAsync(vault, history, "/cache/**/*.bin", prove: true);
        await DemandAsync(vault, third, files, path => path.StartsWith("/cache/", StringComparison.Ordinal) && path.EndsWith(".bin", StringComparison.Ordinal), options);
        Assert.Equal(ScanRecord.Changes, third.Volume.Scan!.Kind);

        await ChangeAsync(image);
        files = await ContentOfAsync(image);
        CaptureResult fourth = await CaptureAsync(vault, history, "/**/*.bin", prove: false);
        await DemandAsync(vault, fourth, files, path => path.EndsWith(".bin", StringComparison.Ordinal), options);
        CaptureResult fifth = await CaptureAsync(vault, history, "/keep", prove: false);
        await DemandAsync(vault, fifth, files, path => path.StartsWith("/keep/", StringComparison.Ordinal), options);
        Assert.Equal((ScanRecord.Changes, ScanRecord.Changes), (fourth.Volume.Scan!.Kind, fifth.Volume.Scan!.Kind));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task The_point_says_what_was_left_out_and_the_vault_gives_that_back()
    {
        VolumeTool.Require("mke2fs", "debugfs");
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        ImageHistory history = new(await MakeAsync("-b 4096"));
        CaptureResult result = await CaptureAsync(vault, history, "/cache/one.bin", prove: false);
        VolumeRecord listed = (await vault.FindPointAsync("latest", Token))!.Volumes[0];
        ExclusionRuleRecord rule = Assert.Single(listed.Exclusions!.Rules);
        Assert.Equal(("/cache/one.bin", "user", 1L, 0L), (rule.Pattern, rule.Origin, rule.Files, rule.KeptHead));
        ExcludedFileRecord file = Assert.Single(rule.Names);
        Assert.Equal(("/cache/one.bin", null, 100_001L, 102_400L), (file.Path, file.Partition, file.Length, file.Bytes));
        Assert.Equal((1L, 102_400L), (listed.Exclusions.Files, listed.Exclusions.Bytes));
        Assert.Empty(listed.Exclusions.Kept);
        Assert.Empty(result.Warnings);
    }

    [Theory]
    [InlineData(1 << 20, "-b 4096")]
    [InlineData(1 << 20, "-b 1024")]
    [InlineData((1 << 20) + 512, "-b 4096")]
    public async Task Of_a_disk_the_files_on_its_partitions_are_left_out(int offset, string options)
    {
        VolumeTool.Require("mke2fs", "debugfs", "sfdisk");
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        string alone = await MakeAsync(options);
        Dictionary<string, byte[]> files = await ContentOfAsync(alone);
        string disk = _folder["disk.img"];
        byte[] bytes = new byte[40 << 20];
        (await File.ReadAllBytesAsync(alone, Token)).CopyTo(bytes.AsSpan(offset));
        await File.WriteAllBytesAsync(disk, bytes, Token);
        await File.WriteAllTextAsync(_folder["table"], $"label: gpt\nstart={offset / 512}, size=65536\n", Token);
        await VolumeTool.RunAsync("sh", "-c", $"sfdisk -q --no-reread '{disk}' < '{_folder["table"]}'");

        CaptureResult result = await CaptureAsync(vault, new ImageHistory(disk), "/cache", prove: true);
        Assert.Equal("gpt", result.Volume.FileSystem);
        Assert.Empty(result.Warnings);
        Assert.All(Assert.Single(result.Volume.Exclusions!.Rules).Names, file => Assert.Equal(1, file.Partition));
        byte[] restored = await VaultLab.RestoreAsync(vault, result.Volume);
        string part = _folder["part.img"];
        await File.WriteAllBytesAsync(part, restored.AsMemory(offset, 32 << 20), Token);
        Assert.Equal(0, (await VolumeTool.TryRunAsync("e2fsck", "-f", "-n", part)).ExitCode);
        Dictionary<string, byte[]> now = await ContentOfAsync(part);
        Assert.All(files, file => Assert.True(now[file.Key].AsSpan().SequenceEqual(file.Key.StartsWith("/cache/", StringComparison.Ordinal) ? new byte[file.Value.Length] : file.Value), file.Key));
    }

    [Fact]
    public async Task Of_a_windows_volume_memory_that_was_written_out_is_left_out_without_being_asked()
    {
        VolumeTool.Require("mkntfs", "ntfs-3g", "ntfsresize", "losetup");
        VolumeTool.RequireRoot();
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        string image = _folder["windows.img"];
        await VolumeTool.RunAsync("truncate", "-s", "48M", image);
        await VolumeTool.RunAsync("mkntfs", "-q", "-F", "-Q", image);
        Random random = new(11);
        Dictionary<string, byte[]> files = [];
        await using (LoopMount mount = await LoopMount.MountAsync(image, _folder["windows"], "ntfs-3g"))
        {
            foreach ((string name, int length) in new[] { ("pagefile.sys", 5_000_000), ("hiberfil.sys", 900_000), ("swapfile.sys", 300), ("sub/pagefile.sys", 70_000), ("other", 1_000_000) })
            {
                files[name] = random.NextBytes(length);
                Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(mount.Folder, name))!);
                await File.WriteAllBytesAsync(Path.Combine(mount.Folder, name), files[name], Token);
            }
        }

        CaptureResult result = await CaptureAsync(vault, new ImageHistory(image), "/sub/none", prove: true);
        Assert.Equal("IMG-140", Assert.Single(result.Warnings).Code);
        Assert.Equal(["user", "page file", "hibernation file"], result.Volume.Exclusions!.Rules.Select(rule => rule.Origin));
        Assert.Equal(2, result.Volume.Exclusions.Files);
        string restored = _folder["windows-restored.img"];
        await File.WriteAllBytesAsync(restored, await VaultLab.RestoreAsync(vault, result.Volume), Token);
        await VolumeTool.RunAsync("ntfsresize", "--info", "--force", "--no-progress-bar", restored); // it checks which cluster is whose
        await using (LoopMount mount = await LoopMount.MountAsync(restored, _folder["windows-restored"], "ntfs-3g", "ro"))
        {
            foreach ((string name, byte[] before) in files)
            {
                bool isLeftOut = name is "pagefile.sys" or "hiberfil.sys"; // the other one has room in its record
                Assert.True((await File.ReadAllBytesAsync(Path.Combine(mount.Folder, name), Token)).AsSpan().SequenceEqual(isLeftOut ? new byte[before.Length] : before), name);
            }
        }
    }

    [Fact]
    public async Task A_pattern_that_meets_nothing_is_a_warning()
    {
        VolumeTool.Require("mke2fs", "debugfs");
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        ImageHistory history = new(await MakeAsync("-b 4096"));
        CaptureResult result = await CaptureAsync(vault, history, "/no/such", prove: false);
        Assert.Equal("IMG-140", Assert.Single(result.Warnings).Code);
        Assert.Equal((0L, 0L), (result.Volume.Exclusions!.Files, result.Volume.Exclusions.Bytes));
    }

    [Fact]
    public async Task Of_a_volume_whose_map_is_in_doubt_nothing_is_left_out_and_a_warning_says_so()
    {
        VolumeTool.Require("mke2fs", "debugfs");
        await using BackupVault vault = await VaultLab.CreateAsync(new MemoryStore());
        string image = await MakeAsync("-b 4096");
        await VolumeTool.RunAsync("debugfs", "-w", "-R", "set_super_value state 2", image);
        CaptureResult result = await CaptureAsync(vault, new ImageHistory(image), "/cache", prove: false);
        CaptureWarning warning = Assert.Single(result.Warnings);
        Assert.Equal("IMG-141", warning.Code);
        Assert.Contains("in doubt", warning.Message, StringComparison.Ordinal);
        Assert.Equal(result.Volume.Length, result.Volume.UsedBytes);
        Assert.Equal(await File.ReadAllBytesAsync(image, Token), await VaultLab.RestoreAsync(vault, result.Volume));
    }

    private static async Task<CaptureResult> CaptureAsync(BackupVault vault, ImageHistory history, string? pattern, bool prove)
    {
        await using ImageHistory.Snapshot snapshot = history.Take();
        ExclusionRules rules = pattern is null ? ExclusionRules.None : new ExclusionRules([new ExclusionRule(PathGlob.Parse(pattern), ExclusionRule.ByUser), .. ExclusionRules.OfWindows]);
        CaptureRequest request = new()
        {
            Snapshot = snapshot,
            Analysis = await Recogniser.AnalyseAsync(snapshot.Reader, VolumeCondition.AtRest, Token),
            Name = "volume",
            Host = "host",
            Prove = prove,
            Exclusions = rules,
        };
        return await VolumeCapture.RunAsync(request, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, Token);
    }

    private async Task DemandAsync(BackupVault vault, CaptureResult result, Dictionary<string, byte[]> files, Func<string, bool> isLeftOut, string options)
    {
        string restored = _folder["restored.img"];
        await File.WriteAllBytesAsync(restored, await VaultLab.RestoreAsync(vault, result.Volume), Token);
        (int code, string said, _) = await VolumeTool.TryRunAsync("e2fsck", "-f", "-n", restored);
        Assert.True(code == 0, $"e2fsck: {said}");
        Dictionary<string, byte[]> now = await ContentOfAsync(restored);
        Assert.Equal(files.Keys.Order(), now.Keys.Order());
        long zeros = 0;
        foreach ((string path, byte[] before) in files)
        {
            bool isInside = options.Contains("inline", StringComparison.Ordinal) && before.Length < 300; // in its inode
            bool isZero = isLeftOut(path) && !isInside && before.Length > 0;
            Assert.True(now[path].AsSpan().SequenceEqual(isZero ? new byte[before.Length] : before), $"{path} is not what it should be");
            zeros += isZero ? 1 : 0;
        }

        Assert.Equal(zeros, result.Volume.Exclusions?.Files ?? 0);
    }

    private async Task<Dictionary<string, byte[]>> ContentOfAsync(string image)
    {
        string folder = _folder["content"];
        Directory.CreateDirectory(folder);
        await VolumeTool.RunAsync("debugfs", "-R", $"rdump / {folder}", image);
        Dictionary<string, byte[]> content = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(path => "/" + Path.GetRelativePath(folder, path), File.ReadAllBytes);
        Directory.Delete(folder, recursive: true);
        return content;
    }

    private async Task<string> MakeAsync(string options)
    {
        Random random = new(7);
        string content = _folder["made"];
        foreach (string folder in new[] { "keep", "cache/deep/deeper" })
        {
            Directory.CreateDirectory(Path.Combine(content, folder));
        }

        Write("cache/one.bin", 100_001);
        Write("cache/two.txt", 5000);
        Write("cache/tiny.bin", 40);
        Write("cache/empty.bin", 0);
        Write("cache/deep/deeper/three.bin", 1_500_000);
        Write("keep/one.bin", 77_000);
        Write("keep/two", 300_000);
        Write("top", 9000);
        string image = _folder["volume.img"];
        await VolumeTool.RunAsync("mke2fs", ["-q", "-F", "-t", "ext4", .. options.Split(' '), "-d", content, image, "32M"]);
        return image;

        void Write(string name, int length)
        {
            byte[] bytes = new byte[length];
            random.NextBytes(bytes);
            File.WriteAllBytes(Path.Combine(content, name), bytes);
        }
    }

    /// <summary>Deletes, so that blocks go from files that were left out to others and back.</summary>
    private async Task ChangeAsync(string image)
    {
        byte[] bytes = new byte[900_000];
        new Random(8).NextBytes(bytes);
        await File.WriteAllBytesAsync(_folder["more"], bytes, Token);
        string script = _folder["script"];
        await File.WriteAllLinesAsync(script, ["rm /cache/deep/deeper/three.bin", "rm /keep/two", $"write {_folder["more"]} keep/new", $"write {_folder["more"]} cache/new.bin"], Token);
        await VolumeTool.RunAsync("debugfs", "-w", "-f", script, image);
        await VolumeTool.RunAsync("e2fsck", "-f", "-y", image);
    }
}
