using System.Globalization;
using System.Text;

namespace Quench.Imaging.Recovery.Files;

/// <summary>Something in a tree.</summary>
/// <param name="Path">Relative to the tree's folder, each byte as one character; empty for the folder itself.</param>
/// <param name="Kind">f, d, l, p, s, b, c. (find(1), %y)</param>
/// <param name="Length">Bytes.</param>
/// <param name="Allocated">Bytes of storage.</param>
/// <param name="Device">The number of its file system.</param>
internal readonly record struct TreeFile(string Path, char Kind, long Length, long Allocated, string Device)
{
    public bool IsFolder => Kind == 'd';
}

/// <summary>Lists a tree with find(1): whatever bytes its names have, and without following any link.</summary>
internal static class FileTree
{
    private const int BlockBytes = 512; // what %b counts in
    private const int Fields = 5;

    /// <summary>Lists a folder and all below it; each folder before what is in it.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="isQuiet">Nobody changes it: whatever can't be listed is a failure. Otherwise what is gone meanwhile is left out, and other file systems are not entered.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">It can't be listed.</exception>
    public static async Task<IReadOnlyList<TreeFile>> ListAsync(string folder, bool isQuiet, CancellationToken cancellationToken)
    {
        await using ToolRun find = ToolRun.Start("find", [folder, .. isQuiet ? (string[])[] : ["-xdev", "-ignore_readdir_race"], "-printf", @"%y\t%s\t%b\t%D\t%P\0"]);
        find.Input.Close();
        using MemoryStream output = new();
        await find.Output.CopyToAsync(output, cancellationToken);
        await find.EndAsync("find", cancellationToken);
        return [.. Encoding.Latin1.GetString(output.GetBuffer(), 0, checked((int)output.Length)).Split('\0', StringSplitOptions.RemoveEmptyEntries).Select(Parse)];
    }

    private static TreeFile Parse(string record)
    {
        string[] fields = record.Split('\t', Fields);
        return new TreeFile(fields[4], fields[0][0], Number(fields[1]), checked(Number(fields[2]) * BlockBytes), fields[3]);
    }

    private static long Number(string field) => long.Parse(field, NumberStyles.None, CultureInfo.InvariantCulture);
}
