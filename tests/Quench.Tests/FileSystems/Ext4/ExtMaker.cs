namespace Quench.Tests.FileSystems.Ext4;

/// <summary>Makes file systems from recipes, without mounting.</summary>
internal static class ExtMaker
{
    public const int Files = 24;

    /// <summary>A folder of files of many sizes, some nested, one sparse, to fill file systems with.</summary>
    public static void WriteContent(string folder, Random random)
    {
        Directory.CreateDirectory(Path.Combine(folder, "nested"));
        for (int index = 0; index < Files; index++)
        {
            byte[] bytes = new byte[random.Next(1, 1 << random.Next(4, 17))];
            random.NextBytes(bytes);
            File.WriteAllBytes(Path.Combine(folder, NameOf(index)), bytes);
        }

        using FileStream sparse = File.Create(Path.Combine(folder, "sparse"));
        sparse.SetLength(64 << 20);
        sparse.Seek(40 << 20, SeekOrigin.Begin);
        sparse.Write(new byte[5000].Select(_ => (byte)7).ToArray());
    }

    /// <summary>Makes one; false when mke2fs refuses the combination or has no room for the files.</summary>
    public static async Task<bool> TryMakeAsync(ExtRecipe recipe, string image, string content)
    {
        await using (FileStream file = File.Create(image))
        {
            file.SetLength(recipe.Length);
        }

        IEnumerable<string> fill = recipe.IsFilled ? ["-d", content] : [];
        (int code, _, _) = await Tool.TryRunAsync("mke2fs", [.. recipe.MakeArguments, .. fill, image]);
        if (code != 0)
        {
            return false;
        }

        if (recipe.IsFilled)
        {
            await DeleteAsync(recipe, image);
        }

        if (recipe.IsWorkedIn)
        {
            await WorkMountedAsync(recipe, image);
        }

        if (recipe.ResizedTo > 0)
        {
            await ResizeAsync(recipe, image);
        }

        await using FileStream grown = File.OpenWrite(image);
        grown.SetLength(Math.Max(recipe.Length, recipe.ResizedTo) + recipe.Tail);
        return true;
    }

    /// <summary>Makes it longer or shorter; leaves it as it is where resize2fs refuses, as it does some features and lengths.</summary>
    private static async Task ResizeAsync(ExtRecipe recipe, string image)
    {
        await Tool.RunAsync("truncate", "-s", $">{recipe.ResizedTo}", image);
        string backup = image + ".before";
        await Tool.RunAsync("cp", "--sparse=always", image, backup);
        int code = (await Tool.TryRunAsync("resize2fs", "-f", image, $"{recipe.ResizedTo / 1024}K")).ExitCode;
        bool isWhole = code == 0 && (await Tool.TryRunAsync("e2fsck", "-f", "-n", image)).ExitCode == 0;
        if (!isWhole)
        {
            await Tool.RunAsync("cp", "--sparse=always", backup, image);
        }

        File.Delete(backup);
    }

    /// <summary>Mounts it and works in it; leaves it as it is where this kernel does not mount it, as it does not with large blocks and some features.</summary>
    private static async Task WorkMountedAsync(ExtRecipe recipe, string image)
    {
        await using LoopMount? mount = await LoopMount.TryMountAsync(image, image + ".mnt");
        if (mount is not null)
        {
            FileWork.Do(mount.Folder, new Random(recipe.WorkSeed), recipe.Length);
        }
    }

    /// <summary>Deletes some of the files; the check that follows counts the quotas anew, which debugfs leaves as they are.</summary>
    private static async Task DeleteAsync(ExtRecipe recipe, string image)
    {
        string script = image + ".debugfs";
        await File.WriteAllLinesAsync(script, recipe.Deleted.Select(index => "rm /" + NameOf(index)));
        await Tool.RunAsync("debugfs", "-w", "-f", script, image);
        await Tool.TryRunAsync("e2fsck", "-f", "-y", image);
    }

    private static string NameOf(int index) => index % 4 == 0 ? $"nested/file{index}" : $"file{index}";
}
