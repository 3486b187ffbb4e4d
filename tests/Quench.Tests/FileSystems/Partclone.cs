using System.Globalization;
using Quench.Blocks;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>What partclone would copy of a volume.</summary>
internal static class Partclone
{
    /// <summary>Its map in blocks of a size that its unit is a multiple of; what lies after the file system counts as in use.</summary>
    public static async Task<UsedBlocks> AskAsync(string program, string image, int blockSize)
    {
        (UsedBlocks? map, string error) = await TryAskAsync(program, image, blockSize);
        Assert.True(map is not null, $"{program}: {error}");
        return map;
    }

    /// <summary>The same; null, and what it said, when it fails.</summary>
    public static async Task<(UsedBlocks? Map, string Error)> TryAskAsync(string program, string image, int blockSize)
    {
        string log = image + ".domain";
        File.Delete(log); // it does not overwrite one
        (int code, _, string error) = await Tool.TryRunAsync(program, "-D", "--offset_domain=0", "-s", image, "-o", log, "-L", image + ".log");
        if (code != 0)
        {
            return (null, error);
        }

        UsedBlocks used = new(new FileInfo(image).Length, blockSize);
        used.Bits.SetRange(0, used.Bits.Length);
        foreach (string line in await File.ReadAllLinesAsync(log))
        {
            string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length == 3 && parts[2] == "?")
            {
                used.Bits.ClearRange(Hexadecimal(parts[0]) / blockSize, Hexadecimal(parts[1]) / blockSize);
            }
        }

        File.Delete(log);
        return (used, error);
    }

    private static long Hexadecimal(string text) => long.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
