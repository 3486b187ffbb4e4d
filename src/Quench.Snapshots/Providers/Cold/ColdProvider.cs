using Quench.Blocks;
using Quench.Blocks.Devices;

namespace Quench.Snapshots.Providers.Cold;

/// <summary>
/// Holds a volume that nobody uses: an unmounted device, opened exclusively so that nobody can mount or attach it meanwhile, or an image
/// file that nothing has attached. Nothing moves, so the instant is the whole time.
/// </summary>
/// <remarks>
/// The grade of a volume at rest is what its own file system says of itself: left in order, it is as good as flushed and frozen;
/// anything else is what a power cut leaves. This room can't read file systems, so the caller judges.
/// </remarks>
public static class ColdProvider
{
    /// <summary>Opens a volume at rest.</summary>
    /// <param name="path">A block device or an image file.</param>
    /// <param name="judge">Reads the volume and says how it was left; called once, before the snapshot exists.</param>
    /// <param name="clock">The instant comes from it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">SNAP-201 (exit code 11): it is in use. BLOCK-1xx: it can't be opened.</exception>
    public static async Task<ISnapshot> TakeAsync(
        string path, Func<IBlockReader, CancellationToken, Task<SnapshotGrade>> judge, TimeProvider clock, CancellationToken cancellationToken)
    {
        PathUse use = PathInspector.Inspect(path);
        if (use.IsInUse)
        {
            throw InUse(use.Path, use.UsedBy, cause: null);
        }

        Disk disk = Open(use.Path);
        try
        {
            SnapshotGrade grade = await judge(disk, cancellationToken);
            return new ColdSnapshot(use.Path, disk, grade, clock.GetUtcNow());
        }
        catch
        {
            await disk.DisposeAsync();
            throw;
        }
    }

    private static Disk Open(string path)
    {
        try
        {
            return Disk.Open(path, DeviceAccess.Read, exclusive: true);
        }
        catch (QuenchException failure) when (failure.Code == "BLOCK-103")
        {
            throw InUse(path, "held by another program", failure);
        }
    }

    private static QuenchException InUse(string path, string usedBy, Exception? cause) =>
        new(
            "SNAP-201",
            $"{path} is in use and can't be imaged at rest: {usedBy}",
            $"unmount or detach it, or attach it through Quench so that it can be imaged while it is used: quench attach {path} --name NAME",
            cause)
        {
            Effect = "nothing was read or written",
            ExitCode = 11,
            CanRetry = true,
        };
}
