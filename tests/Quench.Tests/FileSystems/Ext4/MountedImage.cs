namespace Quench.Tests.FileSystems.Ext4;

/// <summary>A file system in a file, mounted through a loop device. Thawed, unmounted and detached when disposed.</summary>
internal sealed class MountedImage : IAsyncDisposable
{
    private readonly string _image;
    private readonly LoopMount _mount;

    private MountedImage(string image, LoopMount mount)
    {
        _image = image;
        _mount = mount;
    }

    /// <summary>Where it is mounted.</summary>
    public string Folder => _mount.Folder;

    public static async Task<MountedImage> MakeAsync(TempFolder folder, string type, string arguments, string size)
    {
        string image = folder["mounted.img"];
        await Tool.RunAsync("truncate", "-s", size, image);
        await Tool.RunAsync("mke2fs", ["-q", "-F", "-t", type, .. arguments.Split(' '), image, size]);
        return new MountedImage(image, await LoopMount.MountAsync(image, folder["mount"]));
    }

    /// <summary>Flushes one file, and with it the journal's transaction.</summary>
    public static async Task SyncAsync(string path)
    {
        await File.WriteAllTextAsync(path, "the end of a round");
        await Tool.RunAsync("sync", path);
    }

    /// <summary>Copies the image as it is now. Nobody writes meanwhile.</summary>
    public Task CopyAsync(string to) => Tool.RunAsync("cp", "--sparse=always", _image, to);

    public Task WhileFrozenAsync(Func<Task> action) => _mount.WhileFrozenAsync(action);

    public ValueTask DisposeAsync() => _mount.DisposeAsync();
}
