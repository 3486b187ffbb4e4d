using Quench.SystemTests.Harness;
using Quench.SystemTests.PowerCut;

namespace Quench.SystemTests.DiffAreaTrouble;

/// <summary>A folder on an ext4 on a loop device on a disk that misbehaves when it is told to.</summary>
internal sealed class FaultyFolder : IAsyncDisposable
{
    private readonly DiskHost _host;
    private readonly FaultyDisk _disk;
    private readonly DiskHost.AttachedDisk _attached;

    private FaultyFolder(DiskHost host, FaultyDisk disk, DiskHost.AttachedDisk attached)
    {
        _host = host;
        _disk = disk;
        _attached = attached;
    }

    internal string Path => _host.MountPoint;

    /// <summary>Whether it may be used for another round.</summary>
    internal bool IsSound { get; private set; } = true;

    internal static async Task<FaultyFolder> MakeAsync(long length)
    {
        DiskHost host = new();
        try
        {
            FaultyDisk disk = new(length);
            DiskHost.AttachedDisk attached = host.Attach(disk);
            await Tool.RunAsync("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", attached.Device);
            return await attached.TryMountAsync("ext4") is { } trouble
                ? throw new InvalidOperationException(trouble)
                : new FaultyFolder(host, disk, attached);
        }
        catch
        {
            host.Dispose();
            throw;
        }
    }

    /// <summary>Sets the disk's mood.</summary>
    internal void Become(DiskMood mood)
    {
        IsSound &= mood is DiskMood.Sound or DiskMood.Slow;
        _disk.Become(mood);
    }

    /// <summary>Pulls the disk's plug.</summary>
    internal void Unplug()
    {
        IsSound = false;
        _host.Unplug();
    }

    public async ValueTask DisposeAsync()
    {
        _disk.Become(DiskMood.Sound);
        await _attached.DisposeAsync();
        _host.Dispose();
    }
}
