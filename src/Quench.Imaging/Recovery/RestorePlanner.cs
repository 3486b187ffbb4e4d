using Quench.Blocks;
using Quench.Snapshots.Providers.Cold;
using Quench.Snapshots.Providers.Filter;
using Quench.Vault;

namespace Quench.Imaging.Recovery;

/// <summary>Makes restore plans: looks at the target, and refuses what would harm somebody, before anything is touched.</summary>
/// <param name="host">This machine's name, to know its own volumes by.</param>
/// <param name="vaultLocation">The vault's directory; nothing is restored into it.</param>
/// <param name="inspect">Looks at a path and at who uses it.</param>
/// <param name="findAttached">Finds an attached volume by anything it can be called.</param>
/// <param name="freeBytes">Room on the file system that a new file would lie on.</param>
public sealed class RestorePlanner(
    string host, string vaultLocation, Func<string, PathUse> inspect, Func<string, AttachedVolume?> findAttached, Func<string, long> freeBytes)
{
    private const int InUseExitCode = 11;

    /// <summary>The planner for this machine.</summary>
    public static RestorePlanner ForThisMachine(string host, string vaultLocation) =>
        new(host, vaultLocation, PathInspector.Inspect, FilterVolumes.Find, directory => new DriveInfo(directory).AvailableFreeSpace);

    /// <summary>Thinks a restore through.</summary>
    /// <exception cref="QuenchException">
    /// RST-101: no such volume in the point; RST-102: not a target; RST-103: too small; RST-104 (exit code 11): in use;
    /// RST-105: the volume that the point was taken of; RST-106: inside the vault; RST-107: no room for a new file.
    /// </exception>
    public RestorePlan Make(RecoveryPoint point, RestoreRequest request)
    {
        VolumeRecord volume = Pick(point, request.Volume);
        PathUse target = inspect(request.Target);
        RefuseVault(target.Path);
        RefuseInUse(target);
        RestoreTargetKind kind = KindOf(target);
        RefuseTooSmall(target, kind, volume);
        RefuseSource(target, kind, point, volume, request.InPlace);
        return new RestorePlan
        {
            Point = point,
            Volume = volume,
            TargetPath = target.Path,
            TargetKind = kind,
            TargetLength = kind == RestoreTargetKind.NewFile ? volume.Length : target.Length,
            OnlyDifferent = request.OnlyDifferent && kind != RestoreTargetKind.NewFile,
            ReadBack = request.ReadBack,
        };
    }

    /// <summary>The volume of a point that a user means.</summary>
    /// <param name="point">The point.</param>
    /// <param name="name">The volume's name; may be null when there is only one.</param>
    /// <exception cref="QuenchException">RST-101: there is none of that name, or several and no name.</exception>
    public static VolumeRecord Pick(RecoveryPoint point, string? name)
    {
        VolumeRecord? found = name is null
            ? (point.Volumes.Count == 1 ? point.Volumes[0] : null)
            : point.Volumes.FirstOrDefault(volume => volume.Name == name);
        string there = string.Join(", ", point.Volumes.Select(volume => volume.Name));
        return found ?? throw new QuenchException(
            "RST-101",
            name is null ? $"point {point.ShortId} holds several volumes" : $"point {point.ShortId} holds no volume called {name}",
            $"name one of these with --volume: {there}");
    }

    private void RefuseVault(string target)
    {
        string below = Path.GetRelativePath(vaultLocation, target);
        if (below == "." || !(below.StartsWith("..", StringComparison.Ordinal) || Path.IsPathRooted(below)))
        {
            throw new QuenchException(
                "RST-106", $"{target} lies inside the vault {vaultLocation}, where only the vault may write", "choose a place outside of it");
        }
    }

    private void RefuseInUse(PathUse target)
    {
        string? reason = target.IsInUse ? target.UsedBy : null;
        if (findAttached(target.Path) is { } attached && PathsAreOrigin(attached, target.Path))
        {
            reason = $"it is the origin of the attached volume {attached.Name}";
        }

        if (reason is not null)
        {
            throw new QuenchException(
                "RST-104", $"{target.Path} is in use: {reason}", "unmount or detach it first, or choose another target")
            {
                Effect = "nothing was written",
                ExitCode = InUseExitCode,
                CanRetry = true,
            };
        }
    }

    private static bool PathsAreOrigin(AttachedVolume attached, string path) =>
        attached.Origin == path || PathInspector.AreSame(attached.Origin, path);

    private static RestoreTargetKind KindOf(PathUse target) => target.Kind switch
    {
        PathKind.BlockDevice => RestoreTargetKind.BlockDevice,
        PathKind.File => RestoreTargetKind.ExistingFile,
        PathKind.Missing when Directory.Exists(Path.GetDirectoryName(target.Path)) => RestoreTargetKind.NewFile,
        PathKind.Missing => throw new QuenchException(
            "RST-102", $"{target.Path} can't be made: the directory it would be in does not exist", "make the directory first"),
        _ => throw new QuenchException(
            "RST-102", $"{target.Path} is neither a block device nor a file", "name a device such as /dev/sdb1, or a file; a new file is made"),
    };

    private void RefuseTooSmall(PathUse target, RestoreTargetKind kind, VolumeRecord volume)
    {
        if (kind != RestoreTargetKind.NewFile && target.Length < volume.Length)
        {
            throw new QuenchException(
                "RST-103",
                $"{target.Path} is too small: it has {ByteSize.Format(target.Length)}, and {volume.Name} needs {ByteSize.Format(volume.Length)}"
                + $" ({volume.Length - target.Length} bytes more)",
                "choose a target at least that large, or a path that does not exist: a sparse file is made there")
            {
                Effect = "nothing was written",
            };
        }

        if (kind == RestoreTargetKind.NewFile && freeBytes(Path.GetDirectoryName(target.Path)!) is var room && room < volume.UsedBytes)
        {
            throw new QuenchException(
                "RST-107",
                $"there is no room for {target.Path}: {ByteSize.Format(room)} are free, and {ByteSize.Format(volume.UsedBytes)} are in use on {volume.Name}",
                "make room, or choose another place")
            {
                Effect = "nothing was written",
            };
        }
    }

    private void RefuseSource(PathUse target, RestoreTargetKind kind, RecoveryPoint point, VolumeRecord volume, bool inPlace)
    {
        bool isSource = kind != RestoreTargetKind.NewFile && point.Host == host
            && (volume.Source == target.Path || PathInspector.AreSame(volume.Source, target.Path));
        if (isSource && !inPlace)
        {
            throw new QuenchException(
                "RST-105",
                $"{target.Path} is the very volume that point {point.ShortId} was taken of",
                "say --in-place to overwrite it, or choose another target")
            {
                Effect = "nothing was written",
            };
        }
    }
}
