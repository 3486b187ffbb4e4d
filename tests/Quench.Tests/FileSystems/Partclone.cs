using System.Globalization;
using Quench.Blocks;

namespace Quench.Tests.FileSystems;

/// <summary>What partclone would copy of a volume.</summary>
internal static class Partclone
{
    /// <summary>Its map in blocks of a size that its unit is a multiple of; what lies after the file system counts as in use.</summary>
    public static async Task<UsedBlocks> AskAsync(string program, string image, int blockSize)
    {
        string log = image + ".domain";
        File.Delete(log); // it does not overwrite one
        await Tool.RunAsync(program, "-D", "--offset_domain=0", "-s", image, "-o", log, "-L", image + ".log");
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
        return used;
    }

    private static long Hexadecimal(string text) => long.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
