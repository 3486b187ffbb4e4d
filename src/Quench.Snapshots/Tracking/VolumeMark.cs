namespace Quench.Snapshots.Tracking;

/// <summary>An instant that a vault keeps as a point, and what happened to the volume since.</summary>
internal sealed class VolumeMark
{
    internal required Guid Vault { get; init; }

    internal required Guid Point { get; init; }

    /// <summary>The blocks that were in use, encoded by <see cref="BlockRuns"/>; the tracker only keeps them.</summary>
    internal required byte[] Used { get; init; }

    /// <summary>What was written from the mark to the beginning of the running generation.</summary>
    internal required ChangeMap Changed { get; init; }

    /// <summary>A bit a region, for regions in which a crash may have lost count; null when there are none.</summary>
    internal ulong[]? Doubtful { get; set; }
}
