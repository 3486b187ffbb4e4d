using Quench.Blocks;
using Quench.Snapshots.Providers.Cold;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Tracked;

namespace Quench.Imaging.Sources;

/// <summary>
/// Finds what a user means by a source: an attached volume's name, device or mount point; a mounted device or its mount point; otherwise a device or an image file that nobody
/// uses. What no provider can hold is refused with the reason and the ways out.
/// </summary>
/// <param name="findAttached">Finds an attached volume by anything it can be called.</param>
/// <param name="inspect">Looks at a path and at who uses it.</param>
/// <param name="findMountSource">What is mounted at a directory; null when nothing is.</param>
/// <param name="findMounted">Finds a mounted device that can be imaged while it is used, by itself or by where it is mounted; null when there is none such.</param>
public sealed class SourceResolver(
    Func<string, AttachedVolume?> findAttached, Func<string, PathUse> inspect, Func<string, string?> findMountSource, Func<string, MountedVolume?> findMounted)
{
    private const int InUseExitCode = 11;

    /// <summary>The resolver for this machine.</summary>
    public static SourceResolver ForThisMachine { get; } =
        new(FilterVolumes.Find, PathInspector.Inspect, PathInspector.FindMountSource, TrackedProvider.Find);

    /// <summary>Finds what the word means.</summary>
    /// <exception cref="QuenchException">SRC-101: no such thing; SRC-102: not a volume; SRC-103 (exit code 11): in use, and no provider can hold it.</exception>
    public ImagingSource Resolve(string source)
    {
        if (findAttached(source) is { } volume)
        {
            return new AttachedSource(volume);
        }

        if (findMounted(source) is { } mounted)
        {
            return new MountedSource(mounted);
        }

        PathUse use = inspect(source);
        return use.Kind switch
        {
            PathKind.Missing => throw Unknown(source),
            PathKind.Directory => throw RefuseDirectory(use.Path),
            PathKind.Other => throw new QuenchException(
                "SRC-102", $"{source} is neither a block device nor an image file", "name a device such as /dev/sda2, or an image file"),
            _ when use.IsInUse => throw RefuseInUse(use.Path, use.UsedBy, use.Path),
            _ when use.Length == 0 => throw new QuenchException("SRC-102", $"{source} is empty: there is nothing to image"),
            _ => new ColdSource(Path.GetFileName(use.Path), use.Path),
        };
    }

    private static QuenchException Unknown(string source) =>
        new(
            "SRC-101",
            $"there is no volume called {source}: no attached volume has that name, and nothing is at that path",
            "see `quench volumes` for the attached volumes and `lsblk` for the devices of this machine");

    private QuenchException RefuseDirectory(string directory) =>
        findMountSource(directory) is { } device
            ? RefuseInUse(directory, $"{device} is mounted there, and it is not attached through Quench", device)
            : new QuenchException(
                "SRC-102",
                $"{directory} is a directory, not a volume, and nothing is mounted there",
                "name the volume that it lies on: `findmnt --target` shows its device");

    private static QuenchException RefuseInUse(string source, string reason, string device) =>
        new(
            "SRC-103",
            $"{source} is in use, and no provider of this build can hold its instant: {reason}",
            OtherWay(reason)
            + $"unmount or detach it and run this again (it is then imaged at rest), or unmount it once, run `quench attach {device} --name NAME`, "
            + "and mount the device that this prints: from then on it can be imaged while it is used")
        {
            Effect = "nothing was read or written",
            ExitCode = InUseExitCode,
            CanRetry = true,
        };

    private static string OtherWay(string reason) =>
        reason.StartsWith(PathInspector.PartitionInUse, StringComparison.Ordinal) ? "image its partitions one by one, which can be done while they are used; or "
        : reason.StartsWith(PathInspector.PartOf, StringComparison.Ordinal) ? "image that instead, where it shows what is in use and what is free; or "
        : "";
}
