using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.SystemTests.Harness;

/// <summary>Signs that a volume lives: that it takes writes, and that the kernel is set back as it was.</summary>
internal static class VolumeLife
{
    private const string GracePeriodSwitch = "/sys/kernel/rcu_expedited";

    /// <summary>Writes a file and makes it durable.</summary>
    internal static void WriteThrough(string mountPoint)
    {
        using SafeFileHandle file = NativeFile.Open(Path.Combine(mountPoint, "alive"), OpenMode.WriteOnly | OpenMode.Create);
        NativeFile.Write(file, new byte[StampedBytes], 0);
        NativeFile.Sync(file);
    }

    /// <summary>Whether the kernel's grace periods are ordinary ones again.</summary>
    internal static bool GracePeriodsAreNormal() => !File.Exists(GracePeriodSwitch) || File.ReadAllText(GracePeriodSwitch).Trim() == "0";

    private const int StampedBytes = 4096;
}
