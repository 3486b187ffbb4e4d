using Quench.Imaging.Sources;
using Quench.Snapshots.Providers;
using Quench.Snapshots.Store;

namespace Quench.Imaging.Capture.Exclusions;

/// <summary>What is left out without being asked: only what nobody wants back. Each is something that this machine itself uses so at the moment, or that Windows makes anew.</summary>
public static class DefaultExclusions
{
    /// <summary>What is kept of a swap file: its header, in pages of whatever size, so that it can be turned on again after a restore.</summary>
    private const long SwapHeader = 64 * 1024;

    /// <summary>The rules for some sources.</summary>
    /// <param name="sources">What is imaged.</param>
    /// <param name="vault">Where the vault lies.</param>
    public static IReadOnlyList<ExclusionRule> For(IReadOnlyList<ImagingSource> sources, string vault)
    {
        ArgumentNullException.ThrowIfNull(sources);
        ArgumentNullException.ThrowIfNull(vault);

        // Of several volumes each has its own paths, and a rule holds on all of them.
        return sources is [var source] && MountPointOf(source) is { } mountPoint
            ? [.. ExclusionRules.OfWindows, .. SwapFiles(mountPoint), .. Inside(mountPoint, [vault], ExclusionRule.Vault), .. Inside(mountPoint, PersistentSnapshots.FilesInUse(), ExclusionRule.DiffArea)]
            : ExclusionRules.OfWindows;
    }

    /// <summary>Those of some rules that are still to be made: what was and is no more is kept.</summary>
    /// <param name="before">Made before the instant.</param>
    /// <param name="after">Made after it.</param>
    public static IReadOnlyList<ExclusionRule> Both(IReadOnlyList<ExclusionRule> before, IReadOnlyList<ExclusionRule> after) =>
        [.. before.Where(rule => after.Any(other => other.Origin == rule.Origin && other.Glob.Text == rule.Glob.Text))];

    /// <summary>Where the one file system of a volume is mounted; null of a disk with partitions, and of what is not mounted.</summary>
    private static string? MountPointOf(ImagingSource source) => source switch
    {
        AttachedSource attached => attached.Volume.MountPoint,
        MountedSource { Volume.Parts.Count: 0 } mounted => mounted.Volume.MountPoint,
        _ => null,
    };

    private static IEnumerable<ExclusionRule> SwapFiles(string mountPoint) =>
        VolumePaths.SwapFilesOn(mountPoint).Where(IsPattern).Select(path => new ExclusionRule(PathGlob.Literal(path), ExclusionRule.SwapFile) { OnlyWhole = true, KeptHead = SwapHeader });

    private static IEnumerable<ExclusionRule> Inside(string mountPoint, IEnumerable<string> paths, string origin) =>
        paths.Select(path => VolumePaths.TryFind(mountPoint, path)).OfType<string>().Where(IsPattern).Select(path => new ExclusionRule(PathGlob.Literal(path), origin) { OnlyWhole = true });

    /// <summary>A path that is deeper or longer than a pattern can be is kept.</summary>
    private static bool IsPattern(string path) => path.Length < 2000 && path.Count(one => one == '/') < 60;
}
