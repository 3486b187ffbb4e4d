using System.Text.Json;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Tracked;
using Xunit;

namespace Quench.SystemTests.Exclusions;

/// <summary>Files of a volume in use are left out of its image, while they are rewritten and change places with files that are not.</summary>
public sealed class ExclusionTests : IDisposable
{
    private const int MiB = 1 << 20;
    private const int Rounds = 3;
    private const int TooManyFolders = 4500;

    private readonly TempFolder _folder = new("exclusions");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("ext4")]
    [InlineData("xfs")]
    public async Task Of_an_attached_volume_what_is_left_out_at_the_instant_reads_as_zeros_and_nothing_else_does(string fileSystem)
    {
        Requires.LiveVolumes();
        VolumeKind kind = Enum.Parse<VolumeKind>(fileSystem, ignoreCase: true);
        await using LiveVolume volume = await LiveVolume.CreateAsync(kind, 320L * MiB);
        await RaceAsync(kind, volume.MountPoint, volume.Name, round => round % 2 == 0 ? ["--prove"] : []);
    }

    [Theory]
    [InlineData("ext4")]
    [InlineData("xfs")]
    public async Task Of_a_mounted_volume_too_whose_instant_is_at_the_end(string fileSystem)
    {
        VolumeKind kind = Enum.Parse<VolumeKind>(fileSystem, ignoreCase: true);
        await using MountedLoop loop = await MountedLoop.CreateAsync(kind, 320L * MiB);
        await RaceAsync(kind, loop.MountPoint, loop.MountPoint, _ => []);
    }

    [Fact]
    public async Task Of_a_mounted_volume_with_more_folders_than_can_be_searched_while_its_writers_are_held_nothing_is_left_out_and_that_is_said()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, 320L * MiB);
        for (int index = 0; index < TooManyFolders; index++)
        {
            Directory.CreateDirectory(Path.Combine(loop.MountPoint, "cache", $"{index}"));
        }

        byte[] content = [.. Enumerable.Repeat((byte)5, 3 * MiB)];
        await File.WriteAllBytesAsync(Path.Combine(loop.MountPoint, "cache", "one.bin"), content, TestContext.Current.CancellationToken);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);

        ProcessResult backup = await cli.RunAsync("backup", loop.MountPoint, "--exclude", "/cache/**/*.bin");
        Assert.Contains("WARNING IMG-141", backup.Error, StringComparison.Ordinal);
        Assert.Contains("more than 4096 blocks", backup.Error, StringComparison.Ordinal);
        string image = _folder["restored.img"];
        await cli.RunAsync("restore", "latest", image);
        await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
        await using RestoredImage inside = await RestoredImage.MountAsync(image, VolumeKind.Ext4, _folder.MakeFolder("mnt"));
        Assert.Equal(content, await File.ReadAllBytesAsync(inside[Path.Combine("cache", "one.bin")], TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_report_the_point_and_the_plan_of_a_restore_say_what_was_left_out()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L * MiB);
        Directory.CreateDirectory(Path.Combine(volume.MountPoint, "cache", "deep"));
        await File.WriteAllBytesAsync(Path.Combine(volume.MountPoint, "cache", "deep", "one.bin"), [.. Enumerable.Repeat((byte)5, 3 * MiB)], TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(volume.MountPoint, "cache", "two.txt"), "two", TestContext.Current.CancellationToken);
        string list = _folder["patterns"];
        await File.WriteAllTextAsync(list, "# caches\n\n/cache/**/*.bin\n", TestContext.Current.CancellationToken);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);

        ProcessResult backup = await cli.RunAsync("backup", volume.Name, "--exclude-file", list, "--exclude", "/nothing/here");
        Assert.Contains("left out 1 file, 3.00 MiB (/cache/**/*.bin)", backup.Error, StringComparison.Ordinal);
        Assert.Contains("WARNING IMG-140: nothing was left out by \"/nothing/here\"", backup.Error, StringComparison.Ordinal);
        ProcessResult shown = await cli.RunAsync("show", "latest");
        Assert.Contains("/cache/deep/one.bin  3.00 MiB", shown.Output, StringComparison.Ordinal);
        JsonElement left = JsonDocument.Parse((await cli.RunAsync("show", "latest", "--json")).Output).RootElement.GetProperty("volumes")[0].GetProperty("exclusions");
        Assert.Equal((1, 3 * MiB), (left.GetProperty("files").GetInt32(), left.GetProperty("bytes").GetInt32()));
        ProcessResult plan = await cli.RunAsync("restore", "latest", _folder["new.img"], "--dry-run");
        Assert.Contains("1 file, 3.00 MiB, was left out of the image and will read as zeros", plan.Output, StringComparison.Ordinal);

        int points = await cli.CountPointsAsync();
        await cli.RefusedAsync(2, "CLI-154", "backup", volume.Name, "--exclude", "cache/*");
        await cli.RefusedAsync(2, "CLI-155", "backup", volume.Name, "--exclude-file", _folder["missing"]);
        Assert.Equal(points, await cli.CountPointsAsync());
    }

    [Fact]
    public async Task The_vault_and_the_stores_of_attached_volumes_are_left_out_of_the_volume_they_lie_on_unless_that_is_not_wanted()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 160L * MiB);
        await using LiveVolume other = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L * MiB);
        await File.WriteAllBytesAsync(Path.Combine(volume.MountPoint, "data"), [.. Enumerable.Repeat((byte)5, MiB)], TestContext.Current.CancellationToken);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(volume.MountPoint, "backups", "vault"));
        string stores = Directory.CreateDirectory(Path.Combine(volume.MountPoint, "stores")).FullName;
        await cli.RunAsync("snapshot", "create", other.Name, "--store", stores, "--store-size", "16M");

        await cli.BackupAsync(volume.Name);
        JsonElement second = await cli.BackupAsync(volume.Name);
        JsonElement rules = second.GetProperty("volumes")[0].GetProperty("exclusions").GetProperty("rules");
        Assert.Equal(
            [("vault", "/backups/vault"), ("diff area", $"/stores/quench-snapshots-{other.Name}.blocks")],
            rules.EnumerateArray().Select(rule => (rule.GetProperty("origin").GetString()!, rule.GetProperty("pattern").GetString()!)));
        Assert.InRange(rules[0].GetProperty("files").GetInt32(), 5, int.MaxValue);
        Assert.InRange(rules[1].GetProperty("bytes").GetInt64(), 16 * MiB, 18 * MiB);

        JsonElement whole = await cli.BackupAsync(volume.Name, "--no-default-exclusions");
        Assert.Equal(JsonValueKind.Null, whole.GetProperty("volumes")[0].GetProperty("exclusions").ValueKind);
        foreach ((JsonElement summary, bool isLeftOut) in new[] { (second, true), (whole, false) })
        {
            string image = _folder[$"{isLeftOut}.img"];
            await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, image);
            await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
            await using RestoredImage inside = await RestoredImage.MountAsync(image, VolumeKind.Ext4, _folder.MakeFolder($"mnt{isLeftOut}"));
            byte[] format = await File.ReadAllBytesAsync(inside[Path.Combine("backups", "vault", "format")], TestContext.Current.CancellationToken);
            Assert.Equal((96, isLeftOut), (format.Length, !format.AsSpan().ContainsAnyExcept((byte)0)));
            Assert.Equal((byte)5, (await File.ReadAllBytesAsync(inside["data"], TestContext.Current.CancellationToken))[^1]);
        }
    }

    /// <summary>Backs up again and again, now with the folder left out and now without, upon the point before, and looks at each restored.</summary>
    private async Task RaceAsync(VolumeKind kind, string mountPoint, string source, Func<int, string[]> options)
    {
        int seed = Chance.Seeds(1).Single();
        TestContext.Current.TestOutputHelper?.WriteLine($"QUENCH_SEED={seed}");
        Random random = new(seed);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        await using RacingFiles files = RacingFiles.Start(mountPoint, random);
        List<(JsonElement Summary, bool IsLeftOut)> points = [];
        for (int round = 0; round < Chance.Count("QUENCH_ROUNDS", Rounds); round++)
        {
            bool isLeftOut = round % 3 != 1;
            points.Add((await cli.BackupAsync(source, [.. options(round), .. isLeftOut ? ["--exclude", "/" + RacingFiles.Cache] : Array.Empty<string>()]), isLeftOut));
        }

        Assert.True(files.IsRunning);
        long done = await files.StopAsync();
        int zeros = 0;
        for (int round = 0; round < points.Count; round++)
        {
            zeros += await CheckAsync(cli, kind, points[round].Summary, points[round].IsLeftOut, round);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{points.Count} points while {done} things were done to the files; {zeros} files left out in all");
        Assert.InRange(zeros, points.Count, int.MaxValue);
        Assert.All(points.Skip(1), point => Assert.Equal("changes", point.Summary.GetProperty("scan").GetString()));
    }

    private async Task<int> CheckAsync(QuenchCli cli, VolumeKind kind, JsonElement summary, bool isLeftOut, int round)
    {
        string image = _folder[$"restored{round}.img"];
        await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, image);
        string mountPoint = _folder.MakeFolder($"mnt{round}");
        if (kind == VolumeKind.Xfs) // it leaves its log to be read even when it is frozen
        {
            await RestoredImage.ReplayJournalAsync(image, kind, mountPoint);
        }

        await RestoredImage.DemandCleanAsync(image, kind);
        int zeros;
        await using (await RestoredImage.MountAsync(image, kind, mountPoint))
        {
            zeros = RacingFiles.Check(mountPoint, isLeftOut);
        }

        File.Delete(image);
        JsonElement exclusions = summary.GetProperty("volumes")[0].GetProperty("exclusions");
        Assert.Equal(zeros, isLeftOut ? exclusions.GetProperty("files").GetInt32() : 0);
        return zeros;
    }
}
