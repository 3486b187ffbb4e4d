using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Supervision;

/// <summary>A volume whose workers come to harm, with a file system of any kind on it.</summary>
internal sealed class SupervisedVolume : IAsyncDisposable
{
    private const long Length = 400L << 20; // no less is enough for XFS

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    private readonly TempFolder _folder = new("supervised");
    private readonly string _fileSystem;

    private SupervisedVolume(LiveVolume volume, string fileSystem)
    {
        Volume = volume;
        _fileSystem = fileSystem;
        MountPoint = _folder.MakeFolder("mnt");
    }

    internal LiveVolume Volume { get; }

    internal string MountPoint { get; }

    internal VolumeSupervision Supervision => FilterVolumes.GetSupervision(Volume.Attached) ?? throw new InvalidOperationException("no worker answers");

    internal static async Task<SupervisedVolume> CreateAsync(string fileSystem)
    {
        LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, Length);
        SupervisedVolume supervised = new(volume, fileSystem);
        try
        {
            string[] options = fileSystem switch
            {
                "ext4" => ["-q", "-F", "-E", "nodiscard"],
                "btrfs" => ["-q", "-f", "-K"],
                _ => ["-q", "-f", "-K"],
            };
            await Tool.RunAsync($"mkfs.{fileSystem}", [.. options, volume.Device]);
            await Tool.RunAsync("mount", volume.Device, supervised.MountPoint);
            return supervised;
        }
        catch
        {
            await supervised.DisposeAsync();
            throw;
        }
    }

    /// <summary>Has the worker that serves come to harm, and waits until another one serves.</summary>
    /// <param name="harm">Kills or stops a process.</param>
    internal async Task<VolumeSupervision> ReplaceAsync(Func<int, Task> harm)
    {
        int worker = Supervision.WorkerId;
        await harm(worker);
        return await WaitForAnotherAsync(worker);
    }

    /// <summary>Waits until another worker serves than the one that did.</summary>
    internal async Task<VolumeSupervision> WaitForAnotherAsync(int worker)
    {
        VolumeSupervision? now = null;
        await Wait.UntilAsync(
            () => (now = TryLook()) is { } there && there.WorkerId != worker, s_limit, "another worker serves");
        return now!;
    }

    /// <summary>Waits until the holder has a warm worker in waiting: what it has most of the time.</summary>
    internal Task WaitForStandbyAsync() =>
        Wait.UntilAsync(() => TryLook() is { HasStandby: true }, s_limit, "a worker is in waiting");

    /// <summary>Unmounts and demands that the file system is whole.</summary>
    internal async Task DemandFileSystemCleanAsync()
    {
        await Tool.RunAsync("umount", MountPoint);
        (string tool, string[] options) = _fileSystem switch
        {
            "ext4" => ("e2fsck", (string[])["-f", "-n"]),
            "xfs" => ("xfs_repair", ["-n"]),
            _ => ("btrfs", ["check", "--readonly"]),
        };
        ProcessResult result = await Tool.TryRunAsync(tool, [.. options, Volume.Device]);
        Assert.True(result.ExitCode == 0, result.ToString());
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if ((await Tool.TryRunAsync("mountpoint", "-q", MountPoint)).ExitCode == 0)
        {
            await Tool.TryRunAsync("umount", "-l", MountPoint);
        }

        await Volume.DisposeAsync();
        _folder.Dispose();
    }

    private VolumeSupervision? TryLook() => FilterVolumes.GetSupervision(Volume.Attached);
}
