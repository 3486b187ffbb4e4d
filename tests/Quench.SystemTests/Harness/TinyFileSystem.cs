using System.Globalization;

namespace Quench.SystemTests.Harness;

/// <summary>A file system in memory that is full soon.</summary>
internal sealed class TinyFileSystem : IAsyncDisposable
{
    private TinyFileSystem(string path) => Path = path;

    internal string Path { get; }

    /// <summary>Mounts one in a new folder.</summary>
    internal static async Task<TinyFileSystem> MountAsync(string parent, long length)
    {
        string path = Directory.CreateDirectory(System.IO.Path.Combine(parent, "tiny")).FullName;
        await Tool.RunAsync("mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={length}"), "tmpfs", path);
        return new TinyFileSystem(path);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await Tool.RunAsync("umount", Path);
}
