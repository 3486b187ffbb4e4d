using System.Security.Cryptography;
using Quench.Blocks;

namespace Quench.Tests.FileSystems;

/// <summary>What a restore leaves: a target of which only what a map has in use was written.</summary>
internal static class Restored
{
    /// <summary>Writes a map's runs of an image over a target of the same length, which is full of zeros or of random bytes.</summary>
    public static async Task WriteAsync(string image, UsedBlocks used, string target, Random? filling)
    {
        byte[] buffer = new byte[1 << 20];
        await using FileStream from = File.OpenRead(image);
        await using FileStream to = File.Create(target);
        to.SetLength(from.Length);
        filling?.NextBytes(buffer); // the same MiB again and again: as good, and quicker
        for (long at = 0; filling is not null && at < from.Length; at += buffer.Length)
        {
            await to.WriteAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, from.Length - at)));
        }

        foreach (Extent run in used.Runs())
        {
            for (long at = run.Offset; at < run.End; at += buffer.Length)
            {
                Memory<byte> part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, run.End - at));
                await RandomAccess.ReadAsync(from.SafeFileHandle, part, at);
                await RandomAccess.WriteAsync(to.SafeFileHandle, part, at);
            }
        }
    }

    /// <summary>Every file below a folder, with the hash of its bytes; of anything else its name and where it leads.</summary>
    public static IReadOnlyList<string> Listing(string folder)
    {
        List<string> lines = [];
        EnumerationOptions all = new() { RecurseSubdirectories = true, AttributesToSkip = 0 };
        foreach (FileSystemInfo entry in new DirectoryInfo(folder).EnumerateFileSystemInfos("*", all))
        {
            string name = Path.GetRelativePath(folder, entry.FullName);
            lines.Add(entry is FileInfo { LinkTarget: null } file ? $"{name} {file.Length} {Hash(file.FullName)}" : $"{name} {entry.LinkTarget}");
        }

        lines.Sort(StringComparer.Ordinal);
        return lines;
    }

    /// <summary>What a program left unreadable when its file system was full, as ntfs-3g does, is so in a restored one as well.</summary>
    private static string Hash(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            return Convert.ToHexString(SHA256.HashData(file));
        }
        catch (IOException)
        {
            return "unreadable";
        }
    }
}
