using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems;
using Quench.FileSystems.PartitionTables;
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
    private const int SmallSector = 512;
    private const string NothingWritten = "nothing was written";

    /// <summary>The planner for this machine.</summary>
    public static RestorePlanner ForThisMachine(string host, string vaultLocation) =>
        new(host, vaultLocation, PathInspector.Inspect, FilterVolumes.Find, directory => new DriveInfo(directory).AvailableFreeSpace);

    /// <summary>Thinks a restore through; of a disk the table is read from its image first.</summary>
    /// <param name="point">The point.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="vault">The vault that holds it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">As for <see cref="Make(RecoveryPoint, RestoreRequest)"/>; and what the vault throws.</exception>
    public async Task<RestorePlan> MakeAsync(RecoveryPoint point, RestoreRequest request, BackupVault vault, CancellationToken cancellationToken)
    {
        VolumeRecord volume = Pick(point, request.Volume);
        await using IBlockReader image = vault.OpenImage(volume);
        bool mayBeDisk = volume.Disk is not null || volume.FileSystem.Length == 0; // points of older programs do not say
        RestorePlan plan = mayBeDisk
            ? Make(point, request, await PartitionTableReader.TryReadAsync(image, volume.Disk?.SectorSize ?? SmallSector, cancellationToken))
            : Make(point, request);
        return plan.TargetStart is null ? plan : await MoveAsync(plan, image, cancellationToken);
    }

    /// <summary>
    /// Lets the boot sector say where the target begins on its disk, if it said before where its partition lay. Of a volume that was imaged without its disk nobody knows that: it stays as it is.
    /// </summary>
    internal static async Task<RestorePlan> MoveAsync(RestorePlan plan, IBlockReader image, CancellationToken cancellationToken)
    {
        ByteAddressable bytes = new(image); // a partition may begin between two sectors; not to be disposed: the image is the caller's
        long start = plan.TargetStart!.Value;
        StatedStart? stated = await StatedStart.TryReadAsync(new Slice(bytes, plan.Part), cancellationToken);
        if (stated is null or { Sector: 0 } || stated.Is(start) || plan.Fit is not null) // 0: it was never made to start a machine from a partition
        {
            return plan;
        }

        bool isTrue = plan.Partition is { } partition && stated.Is(partition.Extent.Offset);
        return isTrue && stated.TryMove(start, out IReadOnlyList<(long, byte[])> moves)
            ? plan with { Moves = moves }
            : plan with { SaysItBeginsAt = stated.Sector };
    }

    /// <summary>Thinks a restore through, of a volume without partitions.</summary>
    public RestorePlan Make(RecoveryPoint point, RestoreRequest request) => Make(point, request, table: null);

    /// <summary>Thinks a restore through.</summary>
    /// <exception cref="QuenchException">
    /// RST-101: no such volume in the point; RST-102: not a target; RST-103: too small; RST-104 (exit code 11): in use;
    /// RST-105: the volume that the point was taken of; RST-106: inside the vault; RST-107: no room for a new file; RST-111: no such partition;
    /// RST-112: the table does not fit the target; RST-113: the target's sectors have another size.
    /// </exception>
    /// <param name="point">The point.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="table">The table in the volume's image; null when it has none, or nobody looked.</param>
    internal RestorePlan Make(RecoveryPoint point, RestoreRequest request, PartitionTable? table)
    {
        VolumeRecord volume = Pick(point, request.Volume);
        Partition? partition = request.Partition is { } number ? PickPartition(volume, table, number) : null;
        PathUse target = inspect(request.Target);
        RefuseVault(target.Path);
        RefuseInUse(target);
        RestoreTargetKind kind = KindOf(target);
        TableFit? fit = partition is null ? FitTable(target, kind, volume, table, request.GrowLast) : null;
        RefuseTooSmall(target, kind, volume, partition, hasFit: fit is not null);
        RefuseSource(target, kind, point, volume, request.InPlace);
        return new RestorePlan
        {
            Point = point,
            Volume = volume,
            TargetPath = target.Path,
            TargetKind = kind,
            Partition = partition,
            TargetStart = target.PartitionStart,
            Fit = fit,
            TargetLength = kind == RestoreTargetKind.NewFile ? partition?.Extent.Length ?? volume.Length : target.Length,
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
                Effect = NothingWritten,
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

    private static Partition PickPartition(VolumeRecord volume, PartitionTable? table, int number)
    {
        Partition? found = table?.Partitions.FirstOrDefault(partition => partition.Number == number && new Extent(0, volume.Length).Contains(partition.Extent));
        return found ?? throw new QuenchException(
            "RST-111",
            table is null ? $"{volume.Name} has no partitions: it is not a disk" : $"the disk {volume.Name} has no partition {number}",
            table is null ? "leave --partition out" : $"name one of these: {string.Join(", ", table.Partitions.Select(partition => partition.Number))}")
        {
            Effect = NothingWritten,
        };
    }

    /// <summary>What the disk's table must become on a target of another size.</summary>
    /// <returns>Null when it stays as it is.</returns>
    private static TableFit? FitTable(PathUse target, RestoreTargetKind kind, VolumeRecord volume, PartitionTable? table, bool growLast)
    {
        if (table is null)
        {
            return !growLast ? null : throw new QuenchException("RST-112", $"{volume.Name} has no partition that could grow: it is not a disk", "leave --grow-last out") { Effect = NothingWritten };
        }

        if (target.SectorSize is { } sector && sector != table.SectorSize)
        {
            throw new QuenchException(
                "RST-113",
                $"{target.Path} has sectors of {sector} bytes, and the partition table of {volume.Name} counts in sectors of {table.SectorSize}: there it would mean other places",
                "choose a disk with sectors of the same size, or make partitions on this one and restore into each of them with --partition")
            {
                Effect = NothingWritten,
            };
        }

        long length = kind == RestoreTargetKind.NewFile ? volume.Length : target.Length;
        if (!TableFit.TryMake(table, length, growLast, out TableFit fit, out string why))
        {
            throw new QuenchException(
                "RST-112",
                $"the disk {volume.Name} ({ByteSize.Format(volume.Length)}) can't be fitted to {target.Path} ({ByteSize.Format(length)}): {why}",
                "choose a larger target, or restore its partitions one by one with --partition")
            {
                Effect = NothingWritten,
            };
        }

        return length < volume.Length || fit.Writes.Count > 0 ? fit : null;
    }

    private void RefuseTooSmall(PathUse target, RestoreTargetKind kind, VolumeRecord volume, Partition? partition, bool hasFit)
    {
        long needed = partition?.Extent.Length ?? volume.Length;
        string what = partition is null ? volume.Name : $"partition {partition.Number} of {volume.Name}";
        if (kind != RestoreTargetKind.NewFile && target.Length < needed && !hasFit)
        {
            throw new QuenchException(
                "RST-103",
                $"{target.Path} is too small: it has {ByteSize.Format(target.Length)}, and {what} needs {ByteSize.Format(needed)}"
                + $" ({needed - target.Length} bytes more)",
                "choose a target at least that large, or a path that does not exist: a sparse file is made there")
            {
                Effect = NothingWritten,
            };
        }

        long used = partition is null ? volume.UsedBytes : volume.Disk?.Partitions.FirstOrDefault(part => part.Number == partition.Number)?.UsedBytes ?? needed;
        if (kind == RestoreTargetKind.NewFile && freeBytes(Path.GetDirectoryName(target.Path)!) is var room && room < used)
        {
            throw new QuenchException(
                "RST-107",
                $"there is no room for {target.Path}: {ByteSize.Format(room)} are free, and {ByteSize.Format(used)} are in use on {what}",
                "make room, or choose another place")
            {
                Effect = NothingWritten,
            };
        }
    }

    private void RefuseSource(PathUse target, RestoreTargetKind kind, RecoveryPoint point, VolumeRecord volume, bool inPlace)
    {
        bool isSource = kind != RestoreTargetKind.NewFile && point.Host == host
            && (volume.Source == target.Path || PathInspector.AreSame(volume.Source, target.Path) || PathInspector.IsPartitionOf(target.Path, volume.Source));
        if (isSource && !inPlace)
        {
            throw new QuenchException(
                "RST-105",
                $"{target.Path} is the very volume that point {point.ShortId} was taken of, or a part of it",
                "say --in-place to overwrite it, or choose another target")
            {
                Effect = NothingWritten,
            };
        }
    }
}
