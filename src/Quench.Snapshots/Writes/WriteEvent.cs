namespace Quench.Snapshots.Writes;

/// <summary>What a request does to the volume.</summary>
public enum WriteKind
{
    /// <summary>It writes data.</summary>
    Write,

    /// <summary>It gives blocks back; what they read afterwards is not defined.</summary>
    Discard,

    /// <summary>It makes blocks read as zeros.</summary>
    Zero,

    /// <summary>It makes what was written durable.</summary>
    Flush,

    /// <summary>It changes the disk in another way: its zones, a driver's own command.</summary>
    Other,
}

/// <summary>How the process that is told is known.</summary>
public enum WriterEvidence
{
    /// <summary>It sent the request itself: a direct write, a discard, a flush; or the file system's own thread, for its journal.</summary>
    Sent,

    /// <summary>It made these pages of the file dirty.</summary>
    Pages,

    /// <summary>It made a page of this file dirty last; who wrote these very pages was forgotten.</summary>
    File,

    /// <summary>None: the pages were dirty before they were watched.</summary>
    None,
}

/// <summary>A write of one process to one place, as it was sent to the disk.</summary>
/// <param name="At">When it was sent; data in a file's cache may have been written up to half a minute earlier.</param>
/// <param name="Kind">What it does.</param>
/// <param name="Offset">Bytes from the volume's start.</param>
/// <param name="Length">Bytes; 0 for a flush.</param>
/// <param name="Process">Who.</param>
/// <param name="Evidence">How that is known.</param>
/// <param name="File">What its data belongs to.</param>
public readonly record struct WriteEvent(
    DateTimeOffset At, WriteKind Kind, long Offset, long Length, WritingProcess Process, WriterEvidence Evidence, WrittenFile File);
