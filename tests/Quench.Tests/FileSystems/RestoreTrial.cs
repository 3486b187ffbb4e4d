using Quench.Blocks;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>Restores volumes by their maps alone, over zeros and over random bytes, and demands that checker and files say the same as before.</summary>
/// <param name="checkAsync">What the file system's own checker finds wrong with an image; null for nothing. Only reads.</param>
/// <param name="listAsync">What lies in an image: a line for each file, with its hash. Only reads; told a folder that it may make.</param>
internal sealed class RestoreTrial(Func<string, Task<string?>> checkAsync, Func<string, string, Task<IReadOnlyList<string>>> listAsync)
{
    /// <summary>Longer ones are not restored: a target full of random bytes is as long.</summary>
    public const long MostBytes = 640L << 20;

    private int _restored;
    private int _files;

    /// <summary>Restores one twice, unless it is too long; what differs is added.</summary>
    public async Task AddDifferencesAsync(string image, UsedBlocks used, Random random, List<string> differences)
    {
        if (used.VolumeLength > MostBytes)
        {
            return;
        }

        if (await checkAsync(image) is { } already)
        {
            differences.Add($"its checker, before it was restored: {already}");
            return;
        }

        IReadOnlyList<string> listing = await listAsync(image, image + ".made");
        foreach (Random? filling in new[] { null, random })
        {
            string over = filling is null ? "zeros" : "random bytes";
            string target = image + ".restored";
            await Restored.WriteAsync(image, used, target, filling);
            if (await checkAsync(target) is { } wrong)
            {
                differences.Add($"its checker, restored over {over}: {wrong}");
            }
            else if (!(await listAsync(target, image + ".again")).SequenceEqual(listing))
            {
                differences.Add($"its files, restored over {over}, are not those that were there");
            }

            File.Delete(target);
        }

        Interlocked.Increment(ref _restored);
        Interlocked.Add(ref _files, listing.Count);
    }

    /// <summary>Says how much was compared; demands that anything was.</summary>
    public void Demand(ITestOutputHelper output)
    {
        output.WriteLine($"{_restored} of them restored over zeros and over random bytes, {_files} lines about their files compared");
        Assert.True(_files > 0, "nothing was restored");
    }

    /// <summary>Null when a program ends with success, otherwise what it says.</summary>
    public static async Task<string?> AskAsync(string program, params IEnumerable<string> arguments)
    {
        (int code, string text, string error) = await Tool.TryRunAsync(program, arguments);
        return code == 0 ? null : $"{program} ended with {code}: {text}{error}";
    }

    /// <summary>The files of an image that is mounted for reading.</summary>
    public static async Task<IReadOnlyList<string>> ListMountedAsync(string image, string folder, string program = "mount", string options = "ro", int sectorSize = 512)
    {
        await using LoopMount mount = await LoopMount.MountAsync(image, folder, program, options, sectorSize);
        return Restored.Listing(mount.Folder);
    }
}
