using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.PointInTime;

/// <summary>One round, all of it decided by its seed.</summary>
internal sealed record RoundPlan
{
    private const long MiB = 1L << 20;

    public required int Seed { get; init; }

    public required VolumeKind Kind { get; init; }

    public required long VolumeLength { get; init; }

    /// <summary>How many blocks are stamped.</summary>
    public required int FieldBlocks { get; init; }

    /// <summary>Whether the stamped file's blocks are allocated before the first stamp.</summary>
    public required bool FieldIsWritten { get; init; }

    /// <summary>Blocks that a second writer is busy with; 0 for none.</summary>
    public required int BusyBlocks { get; init; }

    public required bool Freeze { get; init; }

    public required long Memory { get; init; }

    /// <summary>Whether old blocks that memory has no room for go to a spill file.</summary>
    public required bool Spill { get; init; }

    /// <summary>Bytes read at once, when the test itself reads the snapshot.</summary>
    public required int ChunkSize { get; init; }

    /// <summary>Stamps before the snapshot is asked for.</summary>
    public required int StampsBefore { get; init; }

    /// <summary>Stamps that must land while the snapshot is read.</summary>
    public required int StampsDuring { get; init; }

    internal static RoundPlan From(int seed, params VolumeKind[] kinds)
    {
        Random random = new(seed);
        VolumeKind kind = kinds[seed % kinds.Length]; // seeds run on, so each kind has its turn
        bool spill = random.Next(2) == 0;
        long length = kind switch
        {
            VolumeKind.Raw => random.Next(8, 24) * MiB,
            VolumeKind.Xfs => 320 * MiB,
            _ => (random.Next(64, 192) * MiB) + (random.Next(256) * 4096),
        };
        return new RoundPlan
        {
            Seed = seed,
            Kind = kind,
            VolumeLength = length,
            FieldBlocks = kind == VolumeKind.Raw ? random.Next(512, 2048) : random.Next(64, 4096),
            FieldIsWritten = random.Next(2) == 0,
            BusyBlocks = kind != VolumeKind.Raw && random.Next(2) == 0 ? random.Next(1024, 3072) : 0,
            Freeze = kind != VolumeKind.Raw && random.Next(3) != 0,
            Memory = spill ? random.Next(1, 4) * MiB : length + MiB, // a discard of all free space may save the whole volume
            Spill = spill,
            ChunkSize = 1 << random.Next(15, 21),
            StampsBefore = random.Next(1, 200),
            StampsDuring = random.Next(20, 150),
        };
    }

    /// <summary>The snapshot's options when the test takes it itself.</summary>
    /// <param name="scratch">Where the spill file goes.</param>
    internal SnapshotOptions ToOptions(string scratch) => new()
    {
        MemoryBytes = Memory,
        SpillFolder = Spill ? scratch : null,
        CapBytes = Spill ? VolumeLength + Memory : null,
        Freeze = Freeze,
    };

    /// <summary>The same options for the command line.</summary>
    internal IEnumerable<string> ToArguments(string scratch) =>
    [
        "--diff-area-memory", $"{Memory}",
        .. Spill ? ["--diff-area", scratch, "--diff-area-size", $"{VolumeLength + Memory}"] : (string[])[],
        .. Freeze ? [] : (string[])["--no-freeze"],
    ];
}
