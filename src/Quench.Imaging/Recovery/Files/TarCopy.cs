using System.Text;

namespace Quench.Imaging.Recovery.Files;

/// <summary>Brings entries of one folder into another with all that belongs to them: owner, mode, times, extended attributes, access control lists, hard links, holes. One tar(1) packs, one unpacks.</summary>
internal static class TarCopy
{
    private static readonly string[] s_kept = ["--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"];

    /// <summary>Copies.</summary>
    /// <param name="from">The folder that the paths are in.</param>
    /// <param name="paths">What to copy, nothing below it; a folder before what is in it. Each byte as one character; empty for the folder itself.</param>
    /// <param name="to">An existing folder.</param>
    /// <param name="cancellationToken">Breaks off; what has arrived by then stays.</param>
    /// <exception cref="IOException">Something could not be read or written.</exception>
    public static async Task RunAsync(string from, IReadOnlyList<string> paths, string to, CancellationToken cancellationToken)
    {
        await using ToolRun pack = Pack(from);
        await using ToolRun unpack = Unpack(to);
        await PumpAsync(pack, paths, unpack.Input, cancellationToken);
        await unpack.Input.DisposeAsync();
        await EndAsync(pack, unpack, cancellationToken);
    }

    /// <summary>Packs entries into memory: for the few that are folders alone.</summary>
    public static async Task<byte[]> PackAsync(string from, IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        await using ToolRun pack = Pack(from);
        using MemoryStream archive = new();
        await PumpAsync(pack, paths, archive, cancellationToken);
        await pack.EndAsync("tar", cancellationToken);
        return archive.ToArray();
    }

    /// <summary>Unpacks what was packed into memory, over what is there.</summary>
    public static async Task UnpackAsync(byte[] archive, string to, CancellationToken cancellationToken)
    {
        await using ToolRun unpack = Unpack(to);
        await unpack.Input.WriteAsync(archive, cancellationToken);
        await unpack.Input.DisposeAsync();
        await unpack.EndAsync("tar", cancellationToken);
    }

    private static ToolRun Pack(string from) => ToolRun.Start(
        "tar",
        ["--create", "--format=posix", "--sparse", .. s_kept, "--no-recursion", "--null", "--verbatim-files-from", $"--directory={from}", "--file=-", "--files-from=-"]);

    private static ToolRun Unpack(string to) => ToolRun.Start(
        "tar", ["--extract", "--same-owner", "--same-permissions", .. s_kept, "--delay-directory-restore", $"--directory={to}", "--file=-"]);

    private static async Task PumpAsync(ToolRun pack, IReadOnlyList<string> paths, Stream into, CancellationToken cancellationToken)
    {
        Task listing = ListAsync(pack, paths, cancellationToken);
        try
        {
            await pack.Output.CopyToAsync(into, cancellationToken);
        }
        catch (IOException)
        {
            await pack.Output.DisposeAsync(); // whoever reads has ended: its own words say why, and nobody packs for nobody
        }

        await listing;
    }

    private static async Task ListAsync(ToolRun pack, IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        try
        {
            foreach (string path in paths)
            {
                await pack.Input.WriteAsync(Encoding.Latin1.GetBytes(path.Length == 0 ? ".\0" : $"./{path}\0"), cancellationToken);
            }

            await pack.Input.DisposeAsync();
        }
        catch (IOException)
        {
            // it has ended: its own words say why
        }
    }

    /// <summary>The failure of the one that unpacks comes first: the other one fails because of it.</summary>
    private static async Task EndAsync(ToolRun pack, ToolRun unpack, CancellationToken cancellationToken)
    {
        await unpack.EndAsync("tar", cancellationToken);
        await pack.EndAsync("tar", cancellationToken);
    }
}
