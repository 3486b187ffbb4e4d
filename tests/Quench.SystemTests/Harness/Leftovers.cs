using System.Text.Json;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter;

namespace Quench.SystemTests.Harness;

/// <summary>
/// Volumes that nobody can take down politely any more: their worker is broken, or the test program that made them was killed. Their names say
/// which process that was.
/// </summary>
internal static class Leftovers
{
    internal const string NamePrefix = "test-";

    /// <summary>Takes down the volumes of test programs that are gone.</summary>
    internal static async Task ClearAsync()
    {
        foreach (AttachedVolume volume in FilterVolumes.List().Where(IsOrphan))
        {
            await TearDownAsync(volume.Name);
            string folder = Path.GetDirectoryName(volume.Origin)!;
            foreach (MountEntry mount in Mounts.Read().Where(mount => mount.MountPoint.StartsWith(folder + "/", StringComparison.Ordinal)))
            {
                await Tool.TryRunAsync("umount", "-l", mount.MountPoint);
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Takes a volume down without asking its worker.</summary>
    internal static async Task TearDownAsync(string name)
    {
        FilterDirectory directory = FilterDirectory.For(name);
        using JsonDocument state = JsonDocument.Parse(await File.ReadAllTextAsync(directory.State));
        string device = state.RootElement.GetProperty("device").GetString()!;
        foreach (MountEntry mount in Mounts.Read().Where(mount => mount.Source == device))
        {
            await Tool.TryRunAsync("umount", "-l", mount.MountPoint);
        }

        await Tool.TryRunAsync("losetup", "-d", device);
        await Holders.KillWithWorkersAsync(Holders.Of(name));
        await Tool.TryRunAsync("umount", "-l", directory.Mount);
        await Tool.TryRunAsync("umount", "-l", directory.Snapshots);
        Directory.Delete(directory.Folder, recursive: true);
    }

    private static bool IsOrphan(AttachedVolume volume)
    {
        string[] parts = volume.Name.Split('-');
        return volume.Name.StartsWith(NamePrefix, StringComparison.Ordinal) && parts.Length == 3 && !Directory.Exists($"/proc/{parts[1]}");
    }
}
