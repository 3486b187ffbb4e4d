using System.Globalization;
using System.Security.Cryptography;
using Quench.SystemTests.Guests;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>Disks that are imaged whole and come back onto disks of another size: other programs find their tables valid, their boot code is the same, and machines start from them.</summary>
public sealed class WholeDiskTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private readonly TempFolder _folder = new("whole-disk");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_disk_as_windows_lays_it_out_comes_back_onto_disks_of_other_sizes_byte_for_byte()
    {
        Requires.Tool("sgdisk", "sfdisk", "partx", "mkfs.fat", "fsck.fat", "mcopy", "mkntfs", "ntfscp", "ntfsresize");
        (int Start, int Length)[] partitions = [(1, 40), (41, 16), (57, 100), (157, 40)]; // in MiB
        string disk = await MakeWindowsDiskAsync(partitions);
        (QuenchCli cli, string point) = await BackUpAsync(disk);

        string grown = await RestoreAsync(cli, point, 320, "--grow-last");
        Assert.InRange(await SectorsAsync(grown, 4), (320 - 157 - 2) * 2048, (320 - 157) * 2048);
        string smaller = await RestoreAsync(cli, point, 198);
        Assert.Equal(40 * 2048, await SectorsAsync(smaller, 4));
        foreach (string restored in (string[])[grown, smaller])
        {
            await DemandTableAsync(restored);
            await DemandSameBootCodeAsync(disk, restored);
            foreach ((int start, int length) in partitions)
            {
                await DemandSameAsync(disk, restored, (long)start << 20, (long)length << 20);
            }

            await Tool.RunAsync("fsck.fat", "-n", await TakeAsync(restored, 1, 40));
            await Tool.RunAsync("ntfsresize", "--info", "--force", await TakeAsync(restored, 57, 100));
            await Tool.RunAsync("ntfsresize", "--info", "--force", await TakeAsync(restored, 157, 40));
        }
    }

    [Fact]
    public async Task A_debian_disk_that_came_back_onto_a_larger_one_boots_under_BIOS_and_under_UEFI()
    {
        string guest = Requires.Guest();
        Requires.Tool("sgdisk", "sfdisk", "partx", "fsck.fat");
        GuestMachine.RequireUefi();
        string disk = await GuestDisk.MakeAsync(_folder, guest);
        (QuenchCli cli, string point) = await BackUpAsync(disk);

        const int Larger = 1536;
        string restored = await RestoreAsync(cli, point, Larger, "--grow-last");
        Assert.InRange(await SectorsAsync(restored, 2), (Larger - GuestDisk.RootStart - 2) * 2048, (Larger - GuestDisk.RootStart) * 2048);
        await DemandSoundAsync(disk, restored);

        int done;
        await using (GuestMachine machine = await GuestMachine.StartAsync(_folder.Path, "bios", $"file={restored}", "write"))
        {
            await machine.WaitForLoginAsync();
            Figures.Say($"guest: the restored disk was at its login prompt under BIOS after {machine.Age.TotalSeconds:0} s");
            Assert.DoesNotContain("efi: EFI v", machine.ReadConsole(), StringComparison.Ordinal);
            await machine.WaitForAsync(50);
            done = machine.Done;
        }

        await using (GuestMachine machine = await GuestMachine.StartUnderUefiAsync(_folder.Path, "uefi", $"file={restored}", "check"))
        {
            await machine.WaitForLoginAsync();
            Figures.Say($"guest: the restored disk was at its login prompt under UEFI after {machine.Age.TotalSeconds:0} s");
            Assert.Contains("efi: EFI v", machine.ReadConsole(), StringComparison.Ordinal); // the kernel's word for it
            Assert.InRange(await machine.Found.WaitAsync(s_limit, Token), done, int.MaxValue);
            await machine.SwitchOffAsync();
        }

        await DemandSoundAsync(disk, restored);
    }

    /// <summary>EFI, reserved, data and recovery, with something in each, and boot code before them.</summary>
    private async Task<string> MakeWindowsDiskAsync((int Start, int Length)[] partitions)
    {
        string disk = _folder["windows.img"];
        string file = _folder["file"];
        await File.WriteAllBytesAsync(file, RandomNumberGenerator.GetBytes(5 << 20), Token);
        await Tool.RunAsync("truncate", "--size", "256M", disk);
        string[] types = ["ef00", "0c01", "0700", "2700"];
        string[] divide = [.. partitions.SelectMany((part, index) => (string[])["-n", $"{index + 1}:{part.Start}M:+{part.Length}M", "-t", $"{index + 1}:{types[index]}"])];
        await Tool.RunAsync("sgdisk", [.. divide, "-A", "4:set:0", "-A", "4:set:63", disk]); // required, no drive letter
        foreach (int index in (int[])[0, 2, 3])
        {
            (int start, int length) = partitions[index];
            string part = _folder["part"];
            await Tool.RunAsync("truncate", "--size", $"{length}M", part);
            if (index == 0)
            {
                await Tool.RunAsync("mkfs.fat", "-F", "32", "-s", "1", "-n", "SYSTEM", "-h", $"{start * 2048}", part);
                await Tool.RunAsync("mcopy", "-i", part, file, "::BOOTX64.EFI");
            }
            else
            {
                await Tool.RunAsync("mkntfs", "-F", "-Q", "-q", "-p", $"{start * 2048}", "-H", "255", "-S", "63", part);
                await Tool.RunAsync("ntfscp", "-f", part, file, "/file");
            }

            await Tool.RunAsync("dd", $"if={part}", $"of={disk}", "bs=1M", $"seek={start}", "conv=sparse,notrunc", "status=none");
            File.Delete(part);
        }

        await using FileStream head = new(disk, FileMode.Open);
        await head.WriteAsync(RandomNumberGenerator.GetBytes(440), Token);
        return disk;
    }

    private async Task<(QuenchCli Cli, string Point)> BackUpAsync(string disk)
    {
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        return (cli, (await cli.BackupAsync(disk)).GetProperty("point").GetString()!);
    }

    private async Task<string> RestoreAsync(QuenchCli cli, string point, int mebibytes, params string[] options)
    {
        string target = _folder[$"restored-{mebibytes}.img"];
        await Tool.RunAsync("truncate", "--size", $"{mebibytes}M", target);
        await cli.RunAsync(["restore", point, target, "--yes", "--verify", .. options]);
        return target;
    }

    /// <summary>What can be told without starting it; the machine does not write its boot code or its EFI system partition.</summary>
    private async Task DemandSoundAsync(string disk, string restored)
    {
        await DemandTableAsync(restored);
        await DemandSameBootCodeAsync(disk, restored);
        await DemandSameAsync(disk, restored, (long)GuestDisk.EfiStart << 20, (long)GuestDisk.EfiLength << 20);
        await Tool.RunAsync("fsck.fat", "-n", await TakeAsync(restored, GuestDisk.EfiStart, GuestDisk.EfiLength));
        ProcessResult check = await Tool.TryRunAsync("e2fsck", "-fn", $"{restored}?offset={(long)GuestDisk.RootStart << 20}");
        Assert.True(check.ExitCode == 0, check.ToString());
    }

    private static async Task DemandTableAsync(string disk)
    {
        string one = await Tool.RunAsync("sgdisk", "-v", disk);
        Assert.Contains("No problems found", one, StringComparison.Ordinal);
        string other = await Tool.RunAsync("sfdisk", "--verify", disk);
        Assert.Contains("No errors detected", other, StringComparison.Ordinal);
        Figures.Say($"{Path.GetFileName(disk)}: {string.Join(' ', one.Split('\n')[^3..]).Trim()}; sfdisk: {string.Join(' ', other.Split('\n')).Trim()}");
    }

    private static Task DemandSameBootCodeAsync(string disk, string restored) => DemandSameAsync(disk, restored, 0, 440);

    private static async Task DemandSameAsync(string disk, string restored, long start, long length) => await Tool.RunAsync(
        "cmp", $"--ignore-initial={start}", $"--bytes={length}", disk, restored);

    private static async Task<int> SectorsAsync(string disk, int partition) => int.Parse(
        await Tool.RunAsync("partx", "--show", "--noheadings", "--output", "SECTORS", "--nr", $"{partition}", disk), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);

    /// <summary>A piece of a disk as a file of its own.</summary>
    private async Task<string> TakeAsync(string disk, int start, int length)
    {
        string part = _folder["part"];
        await Tool.RunAsync("dd", $"if={disk}", $"of={part}", "bs=1M", $"skip={start}", $"count={length}", "conv=sparse", "status=none");
        return part;
    }
}
