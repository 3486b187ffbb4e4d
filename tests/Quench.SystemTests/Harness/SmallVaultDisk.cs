using System.Globalization;

namespace Quench.SystemTests.Harness;

/// <summary>A small ext4 disk, for a vault that runs out of room.</summary>
internal sealed class SmallVaultDisk : IAsyncDisposable
{
    private readonly string _mountPoint;

    private SmallVaultDisk(string mountPoint) => _mountPoint = mountPoint;

    /// <summary>A place for a vault.</summary>
    internal string VaultFolder => Path.Combine(_mountPoint, "vault");

    internal static async Task<SmallVaultDisk> MountAsync(TempFolder folder, long length)
    {
        string image = folder["vault-disk.img"];
        await Tool.RunAsync("truncate", "-s", length.ToString(CultureInfo.InvariantCulture), image);
        await Tool.RunAsync("mkfs.ext4", "-q", "-F", "-m", "0", image);
        string mountPoint = folder.MakeFolder("vault-disk");
        await Tool.RunAsync("mount", "-o", "loop", image, mountPoint);
        return new SmallVaultDisk(mountPoint);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await Tool.RunAsync("umount", _mountPoint);
}
