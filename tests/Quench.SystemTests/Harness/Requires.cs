using Quench.Interop.Linux;
using Xunit;

namespace Quench.SystemTests.Harness;

/// <summary>What a test needs of the machine. Where it is missing the test is skipped and says why.</summary>
internal static class Requires
{
    internal static void Root() => Assert.SkipUnless(ProcessControl.IsRoot, "needs root");

    internal static void Fuse() => Assert.SkipUnless(File.Exists("/dev/fuse"), "needs /dev/fuse");

    internal static void Loop() => Assert.SkipUnless(File.Exists("/dev/loop-control"), "needs loop devices");

    internal static void Tool(params string[] names)
    {
        foreach (string name in names)
        {
            Assert.SkipUnless(HasTool(name), $"needs {name}");
        }
    }

    /// <summary>Skips where a package that has no programs is not installed.</summary>
    internal static void FileOf(string package, params string[] paths)
    {
        foreach (string path in paths)
        {
            Assert.SkipUnless(File.Exists(path), $"needs {path}, of the package {package}");
        }
    }

    /// <summary>Everything that a <see cref="LiveVolume"/> stands on.</summary>
    internal static void LiveVolumes()
    {
        Root();
        Fuse();
        Loop();
        Tool("mkfs.ext4", "e2fsck", "mount", "umount", "losetup");
    }

    internal static bool HasTool(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => folder.Length > 0 && File.Exists(Path.Combine(folder, name)));

    /// <summary>Skips where there is no disk for a guest, or nothing that runs it.</summary>
    /// <returns>The disk's path; packages lie beside it in "debs".</returns>
    internal static string Guest()
    {
        LiveVolumes();
        Tool("qemu-system-x86_64");
        string? folder = Environment.GetEnvironmentVariable("QUENCH_GUEST_DIR");
        Assert.SkipUnless(folder is { Length: > 0 }, "needs the guest's disk: run it with ./test guest");
        string disk = Path.Combine(folder, "guest.img");
        Assert.SkipUnless(File.Exists(disk), $"needs {disk}: make it with scripts/guest/build");
        return disk;
    }
}
