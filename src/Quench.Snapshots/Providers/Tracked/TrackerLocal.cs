namespace Quench.Snapshots.Providers.Tracked;

/// <summary>What the words mean that the tracker's programs keep for each processor, so that none waits for another one. The values are the words' places.</summary>
internal static class TrackerLocal
{
    /// <summary>Requests that the first copies may have taken before the second ones strike them out: as many as interrupts can be nested, and some that are never struck out.</summary>
    public const int Taken = 8;

    /// <summary>Where those are that have landed: addresses of requests, 0 where none is.</summary>
    public const int TakenLanded = 0;

    /// <summary>Where those are that were submitted: addresses of bios.</summary>
    public const int TakenQueued = TakenLanded + Taken;

    /// <summary>Bytes of the disk whose writing, discarding or zeroing was heard when it had landed.</summary>
    public const int LandedBytes = 16;

    /// <summary>The same, heard when submitted.</summary>
    public const int QueuedBytes = 24;

    /// <summary>Words of each processor: whole cache lines, and a power of two.</summary>
    public const int Words = 32;
}
