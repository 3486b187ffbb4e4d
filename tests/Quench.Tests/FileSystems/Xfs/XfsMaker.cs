using System.Globalization;
using System.Text.RegularExpressions;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>Makes XFS file systems from recipes.</summary>
internal static partial class XfsMaker
{
    /// <summary>Makes one and works in it; false when mkfs.xfs refuses the combination.</summary>
    public static async Task<bool> TryMakeAsync(XfsRecipe recipe, string image)
    {
        await Tool.RunAsync("truncate", "-s", recipe.Length.ToString(CultureInfo.InvariantCulture), image);
        IEnumerable<string> prototype = recipe.IsVersion4 ? ["-p", await WritePrototypeAsync(recipe, image)] : [];
        if ((await Tool.TryRunAsync("mkfs.xfs", [.. recipe.MakeArguments, .. prototype, image])).ExitCode != 0)
        {
            return false;
        }

        if (!recipe.IsVersion4)
        {
            await WorkMountedAsync(recipe, image);
        }

        await using FileStream grown = File.OpenWrite(image);
        grown.SetLength(grown.Length + recipe.Tail);
        return true;
    }

    /// <summary>Leaves files of many shapes in a folder, some deleted again, so that free space is in many pieces.</summary>
    public static void Work(string folder, Random random, bool reflinks)
    {
        byte[] bytes = new byte[200_000];
        random.NextBytes(bytes);
        int files = random.Next(10, 250);
        for (int index = 0; index < files; index++)
        {
            string below = Directory.CreateDirectory(Path.Combine(folder, $"folder{index % 5}")).FullName;
            using FileStream file = File.Create(Path.Combine(below, $"file{index}"));
            file.Write(bytes, 0, random.Next(bytes.Length >> random.Next(6)));
            if (index % 9 == 0)
            {
                file.Seek(random.Next(8 << 20), SeekOrigin.Begin);
                file.Write(bytes, 0, 5000);
            }
        }

        for (int index = 0; index < files; index += random.Next(1, 4))
        {
            File.Delete(Path.Combine(folder, $"folder{index % 5}", $"file{index}"));
        }

        if (reflinks && File.Exists(Path.Combine(folder, "folder1", "file1")))
        {
            File.Copy(Path.Combine(folder, "folder1", "file1"), Path.Combine(folder, "shared"));
        }
    }

    private static async Task WorkMountedAsync(XfsRecipe recipe, string image)
    {
        Random random = new(recipe.WorkSeed);
        await using LoopMount mount = await LoopMount.MountAsync(image, image + ".mnt");
        Work(mount.Folder, random, reflinks: true);
        if (recipe.GrownBy > 0)
        {
            await Tool.RunAsync("truncate", "-s", (recipe.Length + recipe.GrownBy).ToString(CultureInfo.InvariantCulture), image);
            await Tool.RunAsync("losetup", "-c", mount.Device);
            await Tool.TryRunAsync("xfs_growfs", "-d", mount.Folder); // it refuses a step that no whole group fits in
            Directory.CreateDirectory(Path.Combine(mount.Folder, "later"));
            Work(Path.Combine(mount.Folder, "later"), random, reflinks: false);
        }

        if (recipe.IsShrunk)
        {
            Match size = DataBlocks().Match(await Tool.RunAsync("xfs_info", mount.Folder));
            long blocks = long.Parse(size.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            await Tool.TryRunAsync("xfs_growfs", "-D", $"{blocks - random.Next(1, 300)}", mount.Folder); // it gives back only what is free at the end of the last group
        }
    }

    private static async Task<string> WritePrototypeAsync(XfsRecipe recipe, string image)
    {
        Random random = new(recipe.WorkSeed);
        List<string> lines = ["-", "0 0", "d--755 0 0"];
        for (int index = 0; index < 12; index++)
        {
            byte[] bytes = new byte[random.Next(1, 300_000)];
            random.NextBytes(bytes);
            await File.WriteAllBytesAsync($"{image}.content{index}", bytes);
            lines.Add($"file{index} ---644 0 0 {image}.content{index}");
        }

        lines.Add("$");
        lines[0] = image + ".content0";
        await File.WriteAllLinesAsync(image + ".prototype", lines);
        return image + ".prototype";
    }

    [GeneratedRegex(@"data\s+=.*blocks=(\d+)")]
    private static partial Regex DataBlocks();
}
