using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A vault with one point of a small image at rest, shared by tests that must not change it.</summary>
public sealed class BadInputFixture : IAsyncLifetime
{
    internal const long SourceLength = 16L << 20;

    internal TempFolder Folder { get; } = new("bad-input");

    internal QuenchCli Cli { get; private set; } = new();

    internal string Point { get; private set; } = "";

    /// <summary>The image that the point was taken of.</summary>
    internal string Source => Folder["source.img"];

    public async ValueTask InitializeAsync()
    {
        if (!Requires.HasTool("mkfs.ext4"))
        {
            return; // every test that uses this skips for the same reason
        }

        await MakeFileSystemAsync(Source, SourceLength);
        Cli = await QuenchCli.WithNewVaultAsync(Folder["vault"]);
        JsonElement summary = await Cli.BackupAsync(Source);
        Point = summary.GetProperty("point").GetString()!;
    }

    public ValueTask DisposeAsync()
    {
        Folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Makes an image file with an ext4 in it.</summary>
    internal static async Task MakeFileSystemAsync(string path, long length)
    {
        using (SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive))
        {
            NativeFile.SetLength(file, length);
        }

        await Tool.RunAsync("mkfs.ext4", "-q", "-F", path);
    }
}
