using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>An image mounted through a loop device by the kernel or, through FUSE, by a program. Thawed, unmounted and detached when disposed.</summary>
internal sealed class LoopMount : IAsyncDisposable
{
    private const int MostTries = 1000;
    private const int MostLooks = 2000; // each takes some milliseconds

    private readonly string _image;

    private LoopMount(string image, string loop, string folder)
    {
        _image = image;
        Device = loop;
        Folder = folder;
    }

    public string Device { get; }

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    /// <summary>Mounts an image; the test fails when that does not work.</summary>
    public static async Task<LoopMount> MountAsync(string image, string folder, string program = "mount", string? options = null, int sectorSize = 512)
    {
        (LoopMount? mount, string error) = await AttachAndMountAsync(image, folder, program, options, sectorSize);
        Assert.True(mount is not null, $"{program} of {image}: {error}");
        return mount;
    }

    /// <summary>Mounts an image; null where this kernel, or the program, does not.</summary>
    public static async Task<LoopMount?> TryMountAsync(string image, string folder, string program = "mount", string? options = null) =>
        (await AttachAndMountAsync(image, folder, program, options, 512)).Mount;

    private static async Task<(LoopMount? Mount, string Error)> AttachAndMountAsync(string image, string folder, string program, string? options, int sectorSize)
    {
        IEnumerable<string> readOnly = options?.Split(',').Contains("ro") ?? false ? ["-r"] : [];
        string loop = (await Tool.RunAsync("losetup", [.. readOnly, "--sector-size", $"{sectorSize}", "-f", "--show", image])).Trim();
        LoopMount mount = new(image, loop, Directory.CreateDirectory(folder).FullName);
        string error = "cancelled";
        bool isMounted = false;
        try
        {
            (int code, _, error) = await Tool.TryRunAsync(program, options is null ? [loop, folder] : ["-o", options, loop, folder]); // of a block device: its unmount waits for the program
            isMounted = code == 0;
        }
        finally
        {
            if (!isMounted)
            {
                await mount.DisposeAsync();
            }
        }

        return (isMounted ? mount : null, error);
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
        (int Code, string Output, string Error) ran;
        int left = MostTries;
        do
        {
            ran = await Tool.TryRunAsync("umount", Folder);
        }
        while (ran.Error.Contains("busy", StringComparison.Ordinal) && --left > 0); // a program that another test starts has this test's files open until it is itself
        await Tool.TryRunAsync("losetup", "-d", Device);

        // A program that served the mount may hold the device a moment longer, and what it wrote last is in the image only when it has let go.
        for (int look = 0; look < MostLooks && (await Tool.TryRunAsync("losetup", "-j", _image)).Output.Length > 0; look++)
        {
        }
    }
}
