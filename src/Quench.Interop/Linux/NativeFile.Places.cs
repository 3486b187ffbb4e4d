using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <content>Where a path really is.</content>
public static unsafe partial class NativeFile
{
    private const uint STATX_MNT_ID = 0x1000;

    /// <summary>The number of the mount that a path lies on, links followed. (statx(2), STATX_MNT_ID; <see cref="MountEntry.Number"/>)</summary>
    /// <returns>Null when nothing is there, or the kernel does not say.</returns>
    public static int? TryGetMountNumber(string path)
    {
        LibC.Statx status = default;
        return LibC.statx(AT_FDCWD, path, 0, STATX_MNT_ID, &status) == 0 && (status.Mask & STATX_MNT_ID) != 0 ? checked((int)status.MountNumber) : null;
    }

    /// <summary>The path with every link in it resolved, as the kernel resolves it now.</summary>
    /// <returns>Null when nothing is there, or it may not be looked at.</returns>
    public static string? TryGetRealPath(string path)
    {
        try
        {
            using SafeFileHandle place = Open(path, OpenMode.PathOnly);
            return new FileInfo(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{place.DangerousGetHandle()}")).LinkTarget;
        }
        catch (LinuxErrorException)
        {
            return null;
        }
    }
}
