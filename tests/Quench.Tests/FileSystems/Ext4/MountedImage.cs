namespace Quench.Tests.FileSystems.Ext4;

/// <summary>A file system in a file, mounted through a loop device. Thawed, unmounted and detached when disposed.</summary>
internal sealed class MountedImage : IAsyncDisposable
{
    private readonly string _image;
    private readonly string _loop;

    private MountedImage(string image, string loop, string folder)
    {
        _image = image;
        _loop = loop;
        Folder = folder;
    }

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    public static async Task<MountedImage> MakeAsync(TempFolder folder, string type, string arguments, string size)
    {
        string image = folder["mounted.img"];
        await Tool.RunAsync("truncate", "-s", size, image);
        await Tool.RunAsync("mke2fs", ["-q", "-F", "-t", type, .. arguments.Split(' '), image, size]);
        string loop = (await Tool.RunAsync("losetup", "-f", "--show", image)).Trim();
        MountedImage mounted = new(image, loop, Directory.CreateDirectory(folder["mount"]).FullName);
        try
        {
            await Tool.RunAsync("mount", loop, mounted.Folder);
            return mounted;
        }
        catch
        {
            await mounted.DisposeAsync();
            throw;
        }
    }

    /// <summary>Flushes one file, and with it the journal's transaction.</summary>
    public static async Task SyncAsync(string path)
    {
        await File.WriteAllTextAsync(path, "the end of a round");
        await Tool.RunAsync("sync", path);
    }

    /// <summary>Copies the image as it is now. Nobody writes meanwhile.</summary>
    public Task CopyAsync(string to) => Tool.RunAsync("cp", "--sparse=always", _image, to);

    public async Task WhileFrozenAsync(Func<Task> action)
    {
        await Tool.RunAsync("fsfreeze", "-f", Folder);
        try
        {
            await action();
        }
        finally
        {
            await Tool.TryRunAsync("fsfreeze", "-u", Folder);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Tool.TryRunAsync("umount", Folder);
        await Tool.TryRunAsync("losetup", "-d", _loop);
    }
}
