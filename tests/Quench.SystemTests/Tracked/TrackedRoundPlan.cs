using System.Globalization;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Tracked;

/// <summary>One round of <see cref="TrackedPointInTimeTests"/>, all of it decided by its seed. Seeds run on, so each kind, load and rate has its turn.</summary>
internal sealed record TrackedRoundPlan
{
    private const long MiB = 1L << 20;

    private static readonly int[] s_rates = [1, 20, 100];

    public required int Seed { get; init; }

    public required VolumeKind Kind { get; init; }

    public required LoadKind Load { get; init; }

    /// <summary>MiB a second.</summary>
    public required int Rate { get; init; }

    public required long VolumeLength { get; init; }

    public required string MountOptions { get; init; }

    /// <summary>How many blocks are stamped.</summary>
    public required int FieldBlocks { get; init; }

    /// <summary>Whether the stamped file's blocks are allocated before the first stamp.</summary>
    public required bool FieldIsWritten { get; init; }

    /// <summary>Stamps before the backup.</summary>
    public required int StampsBefore { get; init; }

    /// <summary>Whether the whole device is read and kept while its writers are held, and the image held against it.</summary>
    public required bool IsWitnessed { get; init; }

    /// <summary>Whether another backup comes first, so that this one reads only what changed.</summary>
    public required bool Follows { get; init; }

    /// <summary>Whether the volume is named by its device or by its mount point.</summary>
    public required bool ByDevice { get; init; }

    /// <summary>How SQLite keeps its journal, where it is the load.</summary>
    public required string Journal { get; init; }

    internal static TrackedRoundPlan From(int seed, VolumeKind[] kinds, LoadKind[] loads)
    {
        Random random = new(seed);
        VolumeKind kind = kinds[seed % kinds.Length];
        LoadKind load = loads[seed / kinds.Length % loads.Length];
        return new TrackedRoundPlan
        {
            Seed = seed,
            Kind = kind,
            Load = load,
            Rate = s_rates[seed / kinds.Length / loads.Length % s_rates.Length],
            VolumeLength = (kind == VolumeKind.Btrfs ? 512 * MiB : 320 * MiB) + (random.Next(256) * 4096),
            MountOptions = load != LoadKind.Discard && random.Next(2) == 0 ? "defaults" : kind == VolumeKind.Btrfs ? "discard=sync" : "discard",
            FieldBlocks = random.Next(64, 4096),
            FieldIsWritten = random.Next(2) == 0,
            StampsBefore = random.Next(1, 100),
            IsWitnessed = random.Next(3) == 0,
            Follows = random.Next(2) == 0,
            ByDevice = random.Next(2) == 0,
            Journal = random.Next(2) == 0 ? "wal" : "delete",
        };
    }

    /// <summary>In a few words, for the figures.</summary>
    internal string ToWords() => string.Create(CultureInfo.InvariantCulture, $"seed={Seed} kind={Kind} load={Load} rate={Rate} options={MountOptions}");
}
