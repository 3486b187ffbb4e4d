using Quench.Blocks;
using Quench.FileSystems;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Cold;
using Quench.Vault;

namespace Quench.Imaging.Sources;

/// <summary>What is on a device or in an image file, found out by looking and nothing else.</summary>
public sealed record SourceInspection
{
    /// <summary>Its path, absolute.</summary>
    public required string Path { get; init; }

    /// <summary>Bytes.</summary>
    public required long Length { get; init; }

    /// <summary>What it holds: a file system's name, "gpt", "mbr"; empty when it was not recognised.</summary>
    public required string Content { get; init; }

    /// <summary>The file system's label.</summary>
    public required string Label { get; init; }

    /// <summary>The file system's identifier, or the disk's.</summary>
    public required string Uuid { get; init; }

    /// <summary>Bytes of its blocks; of a disk, of the sectors that its table counts in; 0 when nothing was recognised.</summary>
    public required int BlockSize { get; init; }

    /// <summary>How it was left: "clean", "needs-recovery", "unsound"; empty when unknown.</summary>
    public required string State { get; init; }

    /// <summary>Who uses it now; empty when nobody does. What is seen of a volume in use may be torn.</summary>
    public required string UsedBy { get; init; }

    /// <summary>Which blocks are in use. The caller's.</summary>
    public required UsedBlocks Used { get; init; }

    /// <summary>Why all of them are, although something was recognised; null when the map is exact.</summary>
    public string? Doubt { get; init; }

    /// <summary>How a disk is divided; null of anything else.</summary>
    public DiskRecord? Disk { get; init; }

    /// <summary>Looks at a device or a file. Nothing is written, and nobody is kept from using it.</summary>
    /// <exception cref="QuenchException">BLOCK-101 to BLOCK-105: it can't be opened.</exception>
    /// <exception cref="IOException">The medium failed.</exception>
    public static async Task<SourceInspection> LookAsync(string path, CancellationToken cancellationToken)
    {
        await using Blocks.Devices.Disk device = Blocks.Devices.Disk.Open(path, Blocks.Devices.DeviceAccess.Read, exclusive: false);
        PathUse use = PathInspector.Inspect(path);
        IReadOnlyList<PartInUse> parts = use.Kind == PathKind.BlockDevice ? PartInUse.Of(use.Path) : [];
        VolumeCondition ConditionOf(Extent extent) => extent == device.Geometry.Whole || parts.Count == 0
            ? (use.IsInUse ? VolumeCondition.Running : VolumeCondition.AtRest)
            : (parts.Any(part => part.Extent.Offset == extent.Offset) ? VolumeCondition.Running : VolumeCondition.AtRest);
        VolumeAnalysis found = await Recogniser.AnalyseAsync(device, ConditionOf, cancellationToken);
        return new SourceInspection
        {
            Path = use.Path,
            Length = device.Geometry.Length,
            Content = found.FileSystem?.Type ?? "",
            Label = found.FileSystem?.Label ?? "",
            Uuid = found.FileSystem?.Uuid ?? "",
            BlockSize = found.FileSystem?.BlockSize ?? 0,
            State = DiskText.Of(found.FileSystem?.State),
            UsedBy = use.UsedBy,
            Used = found.Used,
            Doubt = found.Doubt,
            Disk = found.Disk is { } partitioned ? DiskText.Describe(partitioned) : null,
        };
    }
}
