using Quench.Interop.Linux;

namespace Quench.SystemTests.Harness;

/// <summary>What a test has mounted in a folder of its own.</summary>
internal static class TempMounts
{
    /// <summary>Unmounts all of it, the last first. What is busy stays: whoever lays the device down says so.</summary>
    internal static async Task UnmountAsync(TempFolder folder)
    {
        foreach (string mountPoint in Mounts.Read().Select(mount => mount.MountPoint).Where(point => point.StartsWith(folder.Path + "/", StringComparison.Ordinal)).Reverse())
        {
            await Tool.TryRunAsync("umount", mountPoint);
        }
    }
}
