namespace Quench.Snapshots.Tracking;

/// <summary>The writes between two instants. A write belongs to the generation that it found when it was let in, and none is under way when the next one begins.</summary>
internal sealed class Generation(long volumeLength)
{
    /// <summary>What was written; set before the write lands.</summary>
    internal ChangeMap Changed { get; } = new(volumeLength);

    /// <summary>⊆ <see cref="Changed"/>: what the durable checkpoint tells. To write there again loses nothing in a crash.</summary>
    internal ChangeMap Covered { get; } = new(volumeLength);
}
