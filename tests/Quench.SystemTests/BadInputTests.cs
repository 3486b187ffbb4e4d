using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>What can't be done is refused with its own code before anything is touched.</summary>
public sealed class BadInputTests(BadInputFixture shared) : IClassFixture<BadInputFixture>, IDisposable
{
    private const int Failed = 1;
    private const int Usage = 2;
    private const int NoVault = 10;
    private const int InUse = 11;
    private const int WrongPassword = 12;

    private readonly TempFolder _folder = new("bad");

    private QuenchCli Cli => shared.Cli;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task No_password_is_told()
    {
        Requires.LiveVolumes();
        await UnchangedAsync(() => (Cli with { Password = null }).RefusedAsync(WrongPassword, "CLI-102", "backup", shared.Source));
    }

    [Fact]
    public async Task A_wrong_password_is_told()
    {
        Requires.LiveVolumes();
        await UnchangedAsync(() => (Cli with { Password = "another one" }).RefusedAsync(WrongPassword, "VAULT-002", "backup", shared.Source));
    }

    [Fact]
    public async Task A_folder_that_is_no_vault_is_told()
    {
        Requires.LiveVolumes();
        File.WriteAllText(_folder["letter"], "something else");

        await new QuenchCli(_folder.Path).RefusedAsync(NoVault, "VAULT-001", "backup", shared.Source);

        Assert.Equal([_folder["letter"]], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task A_folder_that_does_not_exist_is_told_and_not_made()
    {
        Requires.LiveVolumes();

        await new QuenchCli(_folder["nowhere"]).RefusedAsync(NoVault, "CLI-103", "backup", shared.Source);

        Assert.False(Directory.Exists(_folder["nowhere"]));
    }

    [Fact]
    public async Task A_vault_of_a_newer_version_is_told_with_its_version()
    {
        Requires.LiveVolumes();
        await Tool.RunAsync("cp", "-a", shared.Folder["vault"], _folder["vault"]);
        MakeNewer(_folder["vault/format"]);

        ProcessResult refused = await (Cli with { Vault = _folder["vault"] }).RefusedAsync(Failed, "VAULT-003", "backup", shared.Source);

        Assert.Contains("format version 2", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mounted_source_is_refused_what_only_an_attached_one_can_do()
    {
        Requires.LiveVolumes();
        await BadInputFixture.MakeFileSystemAsync(_folder["used.img"], BadInputFixture.SourceLength);
        await using LoopedFile device = await LoopedFile.AttachAsync(_folder["used.img"]);
        await Tool.RunAsync("mount", device.Device, _folder.MakeFolder("mnt"));
        try
        {
            await UnchangedAsync(async () =>
            {
                ProcessResult refused = await Cli.RefusedAsync(Usage, "CLI-150", "backup", device.Device, "--prove");
                Assert.Contains("quench attach", refused.Error, StringComparison.Ordinal);
                await Cli.RefusedAsync(Usage, "CLI-150", "backup", _folder["mnt"], "--no-freeze");
                await Cli.RefusedAsync(InUse, "SRC-103", "backup", _folder["used.img"]);
            });
        }
        finally
        {
            await Tool.RunAsync("umount", _folder["mnt"]);
        }
    }

    [Fact]
    public async Task A_source_that_is_not_there_is_told()
    {
        Requires.LiveVolumes();
        await UnchangedAsync(async () =>
        {
            await Cli.RefusedAsync(Failed, "SRC-101", "backup", "no-such-volume");
            await Cli.RefusedAsync(Failed, "SRC-101", "backup", _folder["no-such.img"]);
        });
    }

    [Fact]
    public async Task A_target_that_is_too_small_stays_as_it_is()
    {
        Requires.LiveVolumes();
        string hash = MakeNoise(_folder["small.img"], BadInputFixture.SourceLength - 4096);

        await Cli.RefusedAsync(Failed, "RST-103", "restore", shared.Point, _folder["small.img"], "--yes");

        Assert.Equal(hash, HashOf(_folder["small.img"]));
    }

    [Fact]
    public async Task A_target_that_is_mounted_stays_as_it_is()
    {
        Requires.LiveVolumes();
        await BadInputFixture.MakeFileSystemAsync(_folder["target.img"], 2 * BadInputFixture.SourceLength);
        await using LoopedFile device = await LoopedFile.AttachAsync(_folder["target.img"]);
        await Tool.RunAsync("mount", "-o", "ro", device.Device, _folder.MakeFolder("mnt"));
        string hash = HashOf(_folder["target.img"]);
        try
        {
            await Cli.RefusedAsync(InUse, "RST-104", "restore", shared.Point, device.Device, "--yes");
            await Cli.RefusedAsync(InUse, "RST-104", "restore", shared.Point, _folder["target.img"], "--yes");
        }
        finally
        {
            await Tool.RunAsync("umount", _folder["mnt"]);
        }

        Assert.Equal(hash, HashOf(_folder["target.img"]));
    }

    [Fact]
    public async Task A_target_that_is_the_source_stays_as_it_is()
    {
        Requires.LiveVolumes();
        string hash = HashOf(shared.Source);

        await Cli.RefusedAsync(Failed, "RST-105", "restore", shared.Point, shared.Source, "--yes");

        Assert.Equal(hash, HashOf(shared.Source));
    }

    [Fact]
    public async Task The_origin_and_the_device_of_an_attached_volume_are_no_targets()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 2 * BadInputFixture.SourceLength);

        await Cli.RefusedAsync(InUse, "RST-104", "restore", shared.Point, volume.Origin, "--yes");
        await Cli.RefusedAsync(InUse, "RST-104", "restore", shared.Point, volume.Device, "--yes");

        VolumeLife.WriteThrough(volume.MountPoint);
        await volume.UnmountAsync();
        await RestoredImage.DemandCleanAsync(volume.Device, VolumeKind.Ext4);
    }

    [Fact]
    public async Task A_target_that_exists_is_not_overwritten_unless_somebody_says_so()
    {
        Requires.LiveVolumes();
        string hash = MakeNoise(_folder["precious.img"], BadInputFixture.SourceLength);

        await Cli.RefusedAsync(Usage, "CLI-108", "restore", shared.Point, _folder["precious.img"]);

        Assert.Equal(hash, HashOf(_folder["precious.img"]));
    }

    [Fact]
    public async Task A_diff_area_that_is_too_small_is_refused_before_the_snapshot()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, BadInputFixture.SourceLength);
        await UnchangedAsync(async () =>
        {
            await Cli.RefusedAsync(Usage, "CLI-107", "backup", volume.Name, "--diff-area-size", "4K");
            await Cli.RefusedAsync(Usage, "SNAP-107", "backup", volume.Name, "--diff-area", volume.MountPoint, "--diff-area-size", "200M");
        });
    }

    [Fact]
    public async Task A_vault_without_room_fails_the_backup_and_keeps_its_points()
    {
        Requires.LiveVolumes();
        await using SmallVaultDisk disk = await SmallVaultDisk.MountAsync(_folder, 40L << 20);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(disk.VaultFolder);
        await cli.RunAsync("backup", shared.Source);
        MakeNoise(_folder["large.img"], 64L << 20);

        await cli.RefusedAsync(Failed, "VAULT-062", "backup", _folder["large.img"]);

        Assert.Equal(1, await cli.CountPointsAsync());
        await cli.RunAsync("verify");
        await cli.RunAsync("restore", "latest", _folder["back.img"], "--yes");
        await RestoredImage.DemandCleanAsync(_folder["back.img"], VolumeKind.Ext4);
    }

    [Fact]
    public async Task A_name_that_is_taken_is_refused_and_its_volume_goes_on()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, BadInputFixture.SourceLength);
        await BadInputFixture.MakeFileSystemAsync(_folder["other.img"], BadInputFixture.SourceLength);

        await Cli.RefusedAsync(InUse, "SNAP-135", "attach", _folder["other.img"], "--name", volume.Name);

        VolumeLife.WriteThrough(volume.MountPoint);
    }

    [Fact]
    public async Task A_refused_attach_leaves_nothing_that_looks_like_a_volume()
    {
        Requires.LiveVolumes();
        const string Name = "quench-test-refused";
        File.WriteAllBytes(_folder["odd.img"], new byte[8192 + 100]);
        File.WriteAllBytes(_folder["empty.img"], []);

        await Cli.RefusedAsync(Failed, "BLOCK-101", "attach", _folder["no-such.img"], "--name", Name);
        await Cli.RefusedAsync(Failed, "SNAP-140", "attach", _folder["odd.img"], "--name", Name);
        await Cli.RefusedAsync(Failed, "SNAP-140", "attach", _folder["empty.img"], "--name", Name);

        string root = Environment.GetEnvironmentVariable("QUENCH_RUN_DIR") ?? "/run/quench";
        Assert.False(Directory.Exists(Path.Combine(root, "volumes", Name)));
    }

    [Fact]
    public async Task A_file_system_without_a_journal_is_imaged_while_it_is_used()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, BadInputFixture.SourceLength, ["-O", "^has_journal"]);
        VolumeLife.WriteThrough(volume.MountPoint);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);

        await cli.RunAsync("backup", volume.Name);
        await cli.RunAsync("restore", "latest", _folder["back.img"]);

        await RestoredImage.DemandCleanAsync(_folder["back.img"], VolumeKind.Ext4);
    }

    [Fact]
    public async Task A_volume_that_is_attached_or_mounted_is_not_attached_again()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, BadInputFixture.SourceLength);

        ProcessResult refused = await Cli.TryRunAsync("attach", volume.Origin, "--name", volume.Name + "-again");

        Assert.True(refused.ExitCode is Failed or InUse, refused.ToString());
        Assert.Contains("in use", refused.Error, StringComparison.Ordinal);
        await Cli.RefusedAsync(InUse, "SNAP-133", "detach", volume.Name);
        VolumeLife.WriteThrough(volume.MountPoint);
    }

    [Fact]
    public async Task Who_is_not_root_is_told()
    {
        Requires.LiveVolumes();
        Requires.Tool("setpriv");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, BadInputFixture.SourceLength);

        ProcessResult attach = await AsNobodyAsync("attach", shared.Source, "--name", volume.Name + "-nobody");

        Assert.Equal(Failed, attach.ExitCode);
        Assert.Contains("code: CLI-105", attach.Error, StringComparison.Ordinal);
        Assert.Contains("sudo", attach.Error, StringComparison.Ordinal);
    }

    /// <summary>Runs the command line as a user who may do nothing.</summary>
    private async Task<ProcessResult> AsNobodyAsync(params IEnumerable<string> arguments)
    {
        ProcessStartInfo plain = Cli.StartInfo(arguments);
        ProcessStartInfo start = new("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", plain.FileName, .. plain.ArgumentList]);
        start.Environment.Clear();
        foreach ((string name, string? value) in plain.Environment)
        {
            start.Environment[name] = value;
        }

        start.Environment["HOME"] = "/tmp";
        using ProcessRun run = ProcessRun.Start(start);
        return await run.EndAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>Does something that must leave the shared vault as it is, file by file.</summary>
    private async Task UnchangedAsync(Func<Task> action)
    {
        string before = Fingerprint();
        await action();
        Assert.Equal(before, Fingerprint());
    }

    private string Fingerprint() => string.Join('\n', Directory
        .EnumerateFiles(shared.Folder["vault"], "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(path => $"{path} {HashOf(path)}"));

    /// <summary>Raises the major version of a format object and mends its hash, as a future version would write it (docs/vault-format.md, 4.1).</summary>
    private static void MakeNewer(string path)
    {
        byte[] format = File.ReadAllBytes(path);
        Assert.Equal("QNCHVALT", Encoding.ASCII.GetString(format, 0, 8));
        BinaryPrimitives.WriteUInt16LittleEndian(format.AsSpan(8), 2);
        SHA256.HashData(format.AsSpan(0, 64), format.AsSpan(64, 32));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllBytes(path, format);
    }

    private static string MakeNoise(string path, long length)
    {
        using (SafeFileHandle file = NativeFile.Open(path, OpenMode.WriteOnly | OpenMode.Create))
        {
            byte[] noise = new byte[1 << 20];
            Random random = new(3);
            for (long at = 0; at < length; at += noise.Length)
            {
                random.NextBytes(noise);
                NativeFile.Write(file, noise.AsSpan(0, (int)Math.Min(noise.Length, length - at)), at);
            }
        }

        return HashOf(path);
    }

    private static string HashOf(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexString(SHA256.HashData(file));
    }
}
