using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>Makes XFS file systems from recipes.</summary>
internal static partial class XfsMaker
{
    private const int PrototypeFiles = 12;

    /// <summary>Makes one and works in it; false when mkfs.xfs refuses the combination, or this kernel does.</summary>
    public static async Task<bool> TryMakeAsync(XfsRecipe recipe, string image)
    {
        await Tool.RunAsync("truncate", "-s", recipe.Length.ToString(CultureInfo.InvariantCulture), image);
        IEnumerable<string> prototype = recipe.IsVersion4 ? ["-p", await WritePrototypeAsync(recipe, image)] : [];
        if ((await Tool.TryRunAsync("mkfs.xfs", [.. recipe.MakeArguments, .. prototype, image])).ExitCode != 0)
        {
            return false;
        }

        if (!recipe.IsVersion4 && !await TryWorkMountedAsync(recipe, image))
        {
            return false;
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

    private static async Task<bool> TryWorkMountedAsync(XfsRecipe recipe, string image)
    {
        Random random = new(recipe.WorkSeed);
        await using LoopMount? mount = await LoopMount.TryMountAsync(image, image + ".mnt");
        if (mount is null)
        {
            return false;
        }

        Work(mount.Folder, random, reflinks: true);
        FileWork.Do(Directory.CreateDirectory(Path.Combine(mount.Folder, "more")).FullName, random, recipe.Length);
        if (recipe.GrownBy > 0)
        {
            await Tool.RunAsync("truncate", "-s", (recipe.Length + recipe.GrownBy).ToString(CultureInfo.InvariantCulture), image);
            await Tool.RunAsync("losetup", "-c", mount.Device);
            await Tool.TryRunAsync("xfs_growfs", "-d", mount.Folder); // it refuses a step that no whole group fits in
            FileWork.Do(Directory.CreateDirectory(Path.Combine(mount.Folder, "later")).FullName, random, recipe.Length);
        }

        if (recipe.IsShrunk)
        {
            Match size = DataBlocks().Match(await Tool.RunAsync("xfs_info", mount.Folder));
            long blocks = long.Parse(size.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            await Tool.TryRunAsync("xfs_growfs", "-D", $"{blocks - random.Next(1, 300)}", mount.Folder); // it gives back only what is free at the end of the last group
        }

        return true;
    }

    /// <summary>The files of one that this kernel does not mount, by what xfs_db says of their blocks: names, sizes and hashes.</summary>
    public static async Task<IReadOnlyList<string>> ListUnmountedAsync(string image)
    {
        int blockSize = int.Parse(BlockSize().Match(await Tool.RunAsync("xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p blocksize", image)).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        List<string> lines = [];
        await using FileStream file = File.OpenRead(image);
        for (int index = 0; index < PrototypeFiles; index++)
        {
            string text = await Tool.RunAsync("xfs_db", "-r", "-f", "-c", $"path /file{index}", "-c", "p core.size", "-c", "bmap", "-c", "sb 0", "-c", "p agblocks", image);
            byte[] content = new byte[int.Parse(FileSize().Match(text).Groups[1].ValueSpan, CultureInfo.InvariantCulture)];
            foreach (Match part in DataExtent().Matches(text))
            {
                long[] numbers = [.. part.Groups.Values.Skip(1).Select(group => long.Parse(group.ValueSpan, CultureInfo.InvariantCulture))];
                long groupBlocks = long.Parse(GroupBlocks().Match(text).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
                long at = numbers[0] * blockSize;
                file.Position = ((numbers[1] * groupBlocks) + numbers[2]) * blockSize;
                await file.ReadExactlyAsync(content.AsMemory((int)at, (int)Math.Min(numbers[3] * blockSize, content.Length - at)));
            }

            lines.Add($"file{index} {content.Length} {Convert.ToHexString(SHA256.HashData(content))}");
        }

        return lines;
    }

    private static async Task<string> WritePrototypeAsync(XfsRecipe recipe, string image)
    {
        Random random = new(recipe.WorkSeed);
        List<string> lines = ["-", "0 0", "d--755 0 0"];
        for (int index = 0; index < PrototypeFiles; index++)
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

    [GeneratedRegex(@"^blocksize = (\d+)", RegexOptions.Multiline)]
    private static partial Regex BlockSize();

    [GeneratedRegex(@"^agblocks = (\d+)", RegexOptions.Multiline)]
    private static partial Regex GroupBlocks();

    [GeneratedRegex(@"^core.size = (\d+)", RegexOptions.Multiline)]
    private static partial Regex FileSize();

    [GeneratedRegex(@"^data offset (\d+) startblock \d+ \((\d+)/(\d+)\) count (\d+)", RegexOptions.Multiline)]
    private static partial Regex DataExtent();

    [GeneratedRegex(@"data\s+=.*blocks=(\d+)")]
    private static partial Regex DataBlocks();
}
