using System.Globalization;
using System.Security.Cryptography;
using Xunit;

namespace Quench.Tests.Cli;

/// <summary>A disk in a file, divided by sfdisk, with file systems that their own programs made and filled. No root needed.</summary>
internal sealed class MadeDisk(string path)
{
    private const int MiB = 1 << 20;

    private readonly Dictionary<int, (long Offset, long Length)> _places = [];

    public string Path => path;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>As Windows lays a disk out: EFI, reserved, data, recovery; 256 MiB.</summary>
    public static async Task<MadeDisk> WindowsAsync(string path)
    {
        FileSystems.Tool.Require("sfdisk", "sgdisk", "mkfs.fat", "fsck.fat", "mcopy", "mkntfs", "ntfscp", "ntfscat", "ntfsresize");
        MadeDisk disk = new(path);
        await disk.DivideAsync(256, """
            label: gpt
            size=40MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name="EFI system partition"
            size=16MiB, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE, name="Microsoft reserved partition"
            size=100MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name="Basic data partition"
            size=40MiB, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC, name="Recovery"
            """, [1, 41, 57, 157], [40, 16, 100, 40]);
        await disk.PutAsync(1, async part =>
        {
            await FileSystems.Tool.RunAsync("mkfs.fat", "-F", "32", "-s", "1", "-n", "SYSTEM", part);
            await FileSystems.Tool.RunAsync("mcopy", "-i", part, NewFile(path, "boot", 300_000), "::BOOTX64.EFI");
        });
        await disk.PutAsync(3, part => MakeNtfsAsync(part, "Windows", NewFile(path, "data", 5 * MiB)));
        await disk.PutAsync(4, part => MakeNtfsAsync(part, "Recovery", NewFile(path, "winre", MiB)));
        return disk;
    }

    /// <summary>An old layout: ext4, and in an extended partition XFS, ext4 and swap; boot code behind the boot record; 448 MiB.</summary>
    public static async Task<MadeDisk> LogicalAsync(string path)
    {
        FileSystems.Tool.Require("sfdisk", "mkfs.ext4", "e2fsck", "mkfs.xfs", "xfs_repair", "mkswap");
        MadeDisk disk = new(path);
        await disk.DivideAsync(448, """
            label: dos
            start=2048, size=32MiB, type=83, bootable
            start=67584, size=412MiB, type=5
            start=69632, size=320MiB, type=83
            start=727040, size=40MiB, type=83
            start=811008, size=16MiB, type=82
            """, [1, 0, 0, 0, 34, 355, 396], [32, 0, 0, 0, 320, 40, 16]);
        string folder = Directory.CreateDirectory(path + ".files").FullName;
        File.Copy(NewFile(path, "data", 3 * MiB), System.IO.Path.Combine(folder, "data"));
        await disk.PutAsync(1, part => FileSystems.Tool.RunAsync("mkfs.ext4", "-q", "-F", "-L", "boot", "-d", folder, part));
        await disk.PutAsync(5, part => FileSystems.Tool.RunAsync("mkfs.xfs", "-q", "-f", "-L", "old", part));
        await disk.PutAsync(6, part => FileSystems.Tool.RunAsync("mkfs.ext4", "-q", "-F", "-L", "home", "-d", folder, part));
        await disk.PutAsync(7, part => FileSystems.Tool.RunAsync("mkswap", "-L", "swap", part));
        byte[] code = RandomNumberGenerator.GetBytes(MiB);
        await using FileStream file = new(path, FileMode.Open);
        file.Write(code, 0, 440);
        file.Position = 512;
        file.Write(code, 512, MiB - 512);
        return disk;
    }

    /// <summary>A copy of one partition of a disk that has this one's layout, as a file of its own.</summary>
    public async Task<string> TakeAsync(string disk, int number)
    {
        string part = $"{path}.part{number}";
        await using FileStream source = File.OpenRead(disk);
        await using FileStream target = File.Create(part);
        (long offset, long length) = _places[number];
        source.Position = offset;
        byte[] buffer = new byte[MiB];
        for (long done = 0; done < length; done += buffer.Length)
        {
            await source.ReadExactlyAsync(buffer, Token);
            await target.WriteAsync(buffer, Token);
        }

        return part;
    }

    /// <summary>Demands that everything on a disk of this one's layout is in order, by each one's own program, and that every file has the same bytes.</summary>
    public async Task DemandSameFilesAsync(string disk)
    {
        foreach (int number in _places.Keys)
        {
            await DemandSameAsync(await TakeAsync(disk, number), number);
        }
    }

    /// <summary>The same of one partition, which is given as a file of its own.</summary>
    public async Task DemandSameAsync(string part, int number)
    {
        string type = await TypeAsync(part);
        switch (type)
        {
            case "vfat":
                await FileSystems.Tool.RunAsync("fsck.fat", "-n", part);
                await FileSystems.Tool.RunAsync("mcopy", "-n", "-i", part, "::BOOTX64.EFI", part + ".out");
                DemandEqual(part + ".out", path + ".boot");
                break;
            case "ntfs":
                await FileSystems.Tool.RunAsync("ntfsresize", "--info", "--force", part);
                await FileSystems.Tool.RunAsync("sh", "-c", $"ntfscat -f {part} /file > {part}.out");
                DemandEqual(part + ".out", path + (number == 3 ? ".data" : ".winre"));
                break;
            case "ext4":
                await FileSystems.Tool.RunAsync("e2fsck", "-fn", part);
                await FileSystems.Tool.RunAsync("debugfs", "-R", $"dump /data {part}.out", part);
                DemandEqual(part + ".out", System.IO.Path.Combine(path + ".files", "data"));
                break;
            case "xfs":
                await FileSystems.Tool.RunAsync("xfs_repair", "-n", part);
                break;
            default:
                Assert.Contains(type, (string[])["swap", ""]);
                break;
        }

        File.Delete(part + ".out");
        File.Delete(part);
    }

    private static async Task<string> TypeAsync(string part) => (await FileSystems.Tool.TryRunAsync("blkid", "-p", "-o", "value", "-s", "TYPE", part)).Output.Trim();

    private static void DemandEqual(string one, string other) => Assert.True(File.ReadAllBytes(one).AsSpan().SequenceEqual(File.ReadAllBytes(other)), $"{one} is not {other}");

    private static async Task MakeNtfsAsync(string part, string label, string file)
    {
        await FileSystems.Tool.RunAsync("mkntfs", "-F", "-Q", "-q", "-L", label, part);
        await FileSystems.Tool.RunAsync("ntfscp", "-f", part, file, "/file");
    }

    private static string NewFile(string path, string name, int length)
    {
        File.WriteAllBytes($"{path}.{name}", RandomNumberGenerator.GetBytes(length));
        return $"{path}.{name}";
    }

    private async Task DivideAsync(int mebibytes, string script, int[] starts, int[] sizes)
    {
        await using (FileStream file = File.Create(path))
        {
            file.SetLength((long)mebibytes * MiB);
        }

        await File.WriteAllTextAsync(path + ".script", script, Token);
        await FileSystems.Tool.RunAsync("sh", "-c", $"PATH=$PATH:/usr/sbin sfdisk -q --no-reread {path} < {path}.script 2>&1");
        for (int index = 0; index < starts.Length; index++)
        {
            if (sizes[index] > 0)
            {
                _places.Add(index + 1, ((long)starts[index] * MiB, (long)sizes[index] * MiB));
            }
        }
    }

    private async Task PutAsync(int number, Func<string, Task> make)
    {
        (long offset, long length) = _places[number];
        string part = string.Create(CultureInfo.InvariantCulture, $"{path}.part{number}");
        await using (FileStream file = File.Create(part))
        {
            file.SetLength(length);
        }

        await make(part);
        await using FileStream made = File.OpenRead(part);
        await using FileStream disk = new(path, FileMode.Open);
        byte[] buffer = new byte[MiB];
        for (long at = 0; at < length; at += buffer.Length)
        {
            await made.ReadExactlyAsync(buffer, Token);
            if (buffer.AsSpan().ContainsAnyExcept((byte)0))
            {
                disk.Position = offset + at;
                await disk.WriteAsync(buffer, Token);
            }
        }

        File.Delete(part);
    }
}
