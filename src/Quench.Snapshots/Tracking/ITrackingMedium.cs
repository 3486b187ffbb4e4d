namespace Quench.Snapshots.Tracking;

/// <summary>Where the tracker's state lies. Failures are exceptions; after one nothing is known of what was written.</summary>
/// <remarks>Intents and slots may be written at the same time, each by one thread.</remarks>
internal interface ITrackingMedium : IDisposable
{
    /// <summary>Writes a page of the write-intent map. It may not be durable yet.</summary>
    void WriteIntents(int page, ReadOnlySpan<byte> bytes);

    /// <summary>Makes the pages durable that were written before.</summary>
    void SyncIntents();

    /// <summary>Writes a slot from its beginning; durable when it returns.</summary>
    /// <param name="slot">0 or 1.</param>
    /// <param name="bytes">Header and payload.</param>
    void WriteSlot(int slot, ReadOnlySpan<byte> bytes);
}
