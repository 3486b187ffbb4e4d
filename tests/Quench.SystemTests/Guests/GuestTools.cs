using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Guests;

/// <summary>The disk from which a guest runs Quench: the runtime, the command line, the libraries that it wants, and a program that says what is to be done.</summary>
internal static class GuestTools
{
    /// <summary>Makes it.</summary>
    /// <param name="folder">Where it is put together.</param>
    /// <param name="program">What the guest runs: a script for bash.</param>
    /// <param name="trees">More folders, and their names on the disk.</param>
    /// <returns>The disk's image file.</returns>
    internal static async Task<string> MakeAsync(TempFolder folder, string program, params (string From, string Name)[] trees)
    {
        string tree = folder.MakeFolder("tools");
        string runtime = Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        Directory.CreateDirectory(Path.Combine(tree, "dotnet"));
        await Tool.RunAsync("cp", "-r", Path.Combine(runtime, "dotnet"), Path.Combine(runtime, "host"), Path.Combine(runtime, "shared"), Path.Combine(tree, "dotnet"));
        await Tool.RunAsync("cp", "-r", Path.GetDirectoryName(QuenchCli.ProgramPath)!, Path.Combine(tree, "quench"));
        foreach ((string from, string name) in trees)
        {
            await Tool.RunAsync("cp", "-r", from, Path.Combine(tree, name));
        }

        string libraries = Directory.CreateDirectory(Path.Combine(tree, "lib")).FullName;
        foreach (string library in (string[])["libzstd.so.1", "libargon2.so.1", "libssl.so.3", "libcrypto.so.3", "libstdc++.so.6", "libgcc_s.so.1"])
        {
            await Tool.RunAsync("cp", "-L", Path.Combine("/lib/x86_64-linux-gnu", library), libraries);
        }

        string run = Path.Combine(tree, "run");
        await File.WriteAllTextAsync(run, program);
        File.SetUnixFileMode(run, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return await MakeDiskAsync(folder, "tools", tree, "512M");
    }

    /// <summary>A disk of one ext4 file system with that label.</summary>
    internal static async Task<string> MakeDiskAsync(TempFolder folder, string label, string? tree, string size)
    {
        string path = folder[label + ".disk"];
        await Tool.RunAsync("truncate", "--size", size, path);
        await Tool.RunAsync("mkfs.ext4", ["-q", "-F", "-L", label, .. tree is null ? Array.Empty<string>() : ["-d", tree], path]);
        return path;
    }
}
