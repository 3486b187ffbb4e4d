using System.Globalization;
using Quench.Tests.FileSystems.Xfs;

namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>Makes btrfs file systems from recipes.</summary>
internal static class BtrfsMaker
{
    /// <summary>Makes one and works in it; false when mkfs.btrfs, or what stands in for a newer one, refuses the combination.</summary>
    public static async Task<bool> TryMakeAsync(BtrfsRecipe recipe, string image)
    {
        await Tool.RunAsync("truncate", "-s", Text(recipe.Length), image);
        if (await TryMakeFileSystemAsync([.. recipe.MakeArguments, image]) is not null)
        {
            return false;
        }

        if (recipe.HasBlockGroupTree && !BlockGroupTree.TryMove(image))
        {
            return false;
        }

        await WorkMountedAsync(recipe, image);
        await using FileStream grown = File.OpenWrite(image);
        grown.SetLength(grown.Length + recipe.Tail);
        return true;
    }

    /// <summary>Runs mkfs.btrfs; null when it worked, else what it said. It looks at every mounted loop device, and gives up when one is detached meanwhile: then again.</summary>
    public static async Task<string?> TryMakeFileSystemAsync(params IEnumerable<string> arguments)
    {
        (int Code, string Output, string Error) ran;
        do
        {
            ran = await Tool.TryRunAsync("mkfs.btrfs", arguments);
        }
        while (ran.Code != 0 && ran.Error.Contains("cannot check mount status", StringComparison.Ordinal));
        return ran.Code == 0 ? null : ran.Error;
    }

    private static async Task WorkMountedAsync(BtrfsRecipe recipe, string image)
    {
        Random random = new(recipe.WorkSeed);
        await using LoopMount mount = await LoopMount.MountAsync(image, image + ".mnt", options: recipe.MountOptions);
        await FillAsync(mount.Folder, "early", random);
        await ResizeAsync(recipe, image, mount);
        if (recipe.Balance.Count > 0)
        {
            await Tool.TryRunAsync("btrfs", ["balance", "start", .. recipe.Balance, mount.Folder]); // a full one is as good
        }

        await FillAsync(mount.Folder, "late", random);
        if (random.Next(3) == 0)
        {
            FileWork.Do(Directory.CreateDirectory(Path.Combine(mount.Folder, "last")).FullName, random, recipe.Length);
        }

        if (recipe.MakeArguments.Contains("quota"))
        {
            await Tool.TryRunAsync("btrfs", "subvolume", "sync", mount.Folder);
            await Tool.TryRunAsync("btrfs", "quota", "rescan", "-w", mount.Folder); // the kernel loses count when subvolumes are deleted, and the checker says so
        }
    }

    /// <summary>A subvolume of files of many shapes, a snapshot of it, some of it deleted again; stops quietly where the file system is full.</summary>
    private static async Task FillAsync(string folder, string name, Random random)
    {
        string subvolume = Path.Combine(folder, name);
        await Tool.TryRunAsync("btrfs", "subvolume", "create", subvolume);
        Directory.CreateDirectory(subvolume);
        try
        {
            XfsMaker.Work(subvolume, random, reflinks: true);
            await Tool.TryRunAsync("btrfs", "subvolume", "snapshot", subvolume, subvolume + "-snapshot");
            Scatter(subvolume, random);
        }
        catch (IOException)
        {
            // It is full.
        }

        await Tool.TryRunAsync("fallocate", "-l", Text(random.Next(1, 9) << 20), Path.Combine(subvolume, "preallocated"));
        if (random.Next(2) == 0)
        {
            await Tool.TryRunAsync("btrfs", "subvolume", "delete", random.Next(2) == 0 ? subvolume : subvolume + "-snapshot");
        }
    }

    /// <summary>Small writes all over one file, each to the disk at once, so that its extents are many.</summary>
    private static void Scatter(string folder, Random random)
    {
        byte[] bytes = new byte[9000];
        using FileStream file = File.Create(Path.Combine(folder, "scattered"));
        for (int round = random.Next(40); round > 0; round--)
        {
            random.NextBytes(bytes);
            file.Position = random.Next(400) * 4096;
            file.Write(bytes, 0, random.Next(1, bytes.Length));
            file.Flush();
        }
    }

    private static async Task ResizeAsync(BtrfsRecipe recipe, string image, LoopMount mount)
    {
        if (recipe.ResizedBy > 0)
        {
            await Tool.RunAsync("truncate", "-s", Text(recipe.Length + recipe.ResizedBy), image);
            await Tool.RunAsync("losetup", "-c", mount.Device);
            await Tool.TryRunAsync("btrfs", "filesystem", "resize", "max", mount.Folder); // to less than 256 MiB the kernel does not
        }
        else if (recipe.ResizedBy < 0)
        {
            await Tool.TryRunAsync("btrfs", "filesystem", "resize", Text(recipe.ResizedBy), mount.Folder); // it needs room to move what is there
        }
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
