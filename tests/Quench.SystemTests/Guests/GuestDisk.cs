using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Guests;

/// <summary>
/// The guest's files on a disk with a GPT that boots both ways: under BIOS by gptmbr and extlinux on the root, under UEFI by systemd-boot on the EFI system partition.
/// </summary>
internal static class GuestDisk
{
    internal const int EfiStart = 1; // all in MiB
    internal const int EfiLength = 128;
    internal const int RootStart = EfiStart + EfiLength;
    internal const int RootLength = 1023; // of scripts/guest/build: a disk of 1 GiB, the partition begins at 1 MiB
    internal const int Length = RootStart + RootLength + 1;

    private const string BootLoader = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

    /// <summary>Makes it.</summary>
    /// <param name="folder">Where it is put together.</param>
    /// <param name="guest">The disk of scripts/guest/build.</param>
    /// <returns>The disk's image file.</returns>
    internal static async Task<string> MakeAsync(TempFolder folder, string guest)
    {
        Requires.Tool("sgdisk", "mkfs.fat", "mmd", "mcopy");
        Requires.FileOf("systemd-boot-efi", BootLoader);
        string disk = folder["debian.img"];
        await Tool.RunAsync("truncate", "--size", $"{Length}M", disk);
        await Tool.RunAsync(
            "sgdisk", "-n", $"1:{EfiStart}M:+{EfiLength}M", "-t", "1:ef00", "-c", "1:EFI system partition",
            "-n", $"2:{RootStart}M:+{RootLength}M", "-t", "2:8300", "-c", "2:root", "-A", "2:set:2", disk); // bit 2: gptmbr starts what is there
        await Tool.RunAsync("dd", $"if={guest}", $"of={disk}", "bs=1M", "skip=1", $"seek={RootStart}", $"count={RootLength}", "conv=sparse,notrunc", "status=none");

        string root = folder.MakeFolder("mnt");
        await Tool.RunAsync("mount", "-o", $"loop,ro,noload,offset={(long)RootStart << 20}", disk, root);
        try
        {
            await Tool.RunAsync("dd", $"if={root}/usr/lib/EXTLINUX/gptmbr.bin", $"of={disk}", "bs=440", "count=1", "conv=notrunc", "status=none");
            await FillEfiAsync(folder, disk, root);
        }
        finally
        {
            await Tool.RunAsync("umount", root);
        }

        return disk;
    }

    /// <summary>The boot loader, and what it loads: the kernel has no vfat here, so mtools do it.</summary>
    private static async Task FillEfiAsync(TempFolder folder, string disk, string root)
    {
        string arguments = (await File.ReadAllLinesAsync(Path.Combine(root, "boot/extlinux/extlinux.conf"))).Select(line => line.Trim()).Single(line => line.StartsWith("APPEND ", StringComparison.Ordinal));
        await File.WriteAllTextAsync(folder["loader.conf"], "default guest.conf\ntimeout 0\n");
        await File.WriteAllTextAsync(folder["guest.conf"], $"title guest\nlinux /vmlinuz\ninitrd /initrd.img\noptions {arguments["APPEND ".Length..]}\n");

        string volume = $"{disk}@@{EfiStart}M";
        await Tool.RunAsync("mkfs.fat", "-F", "32", "-s", "1", "-n", "ESP", "--offset", $"{EfiStart * 2048}", disk, $"{EfiLength * 1024}");
        await Tool.RunAsync("mmd", "-i", volume, "::EFI", "::EFI/BOOT", "::loader", "::loader/entries");
        await Tool.RunAsync("mcopy", "-i", volume, BootLoader, "::EFI/BOOT/BOOTX64.EFI");
        await Tool.RunAsync("mcopy", "-i", volume, folder["loader.conf"], "::loader/loader.conf");
        await Tool.RunAsync("mcopy", "-i", volume, folder["guest.conf"], "::loader/entries/guest.conf");
        await Tool.RunAsync("mcopy", "-i", volume, Path.Combine(root, "vmlinuz"), "::vmlinuz");
        await Tool.RunAsync("mcopy", "-i", volume, Path.Combine(root, "initrd.img"), "::initrd.img");
    }
}
