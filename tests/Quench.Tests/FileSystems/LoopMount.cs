namespace Quench.Tests.FileSystems;

/// <summary>An image mounted through a loop device by the kernel or, through FUSE, by a program. Thawed, unmounted and detached when disposed.</summary>
internal sealed class LoopMount : IAsyncDisposable
{
    private LoopMount(string loop, string folder)
    {
        Device = loop;
        Folder = folder;
    }

    public string Device { get; }

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    public static async Task<LoopMount> MountAsync(string image, string folder, string program = "mount", string? options = null)
    {
        string loop = (await Tool.RunAsync("losetup", "-f", "--show", image)).Trim();
        LoopMount mount = new(loop, Directory.CreateDirectory(folder).FullName);
        try
        {
            await Tool.RunAsync(program, options is null ? [loop, folder] : ["-o", options, loop, folder]); // of a block device: its unmount waits for the program
            return mount;
        }
        catch
        {
            await mount.DisposeAsync();
            throw;
        }
    }

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
        await Tool.TryRunAsync("losetup", "-d", Device);
    }
}
