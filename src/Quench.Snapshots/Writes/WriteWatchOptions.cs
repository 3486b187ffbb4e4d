namespace Quench.Snapshots.Writes;

/// <summary>How much memory of the kernel's a watch takes.</summary>
public sealed record WriteWatchOptions
{
    /// <summary>Room for events that user space has not taken yet; a power of two. What finds no room is lost, and counted.</summary>
    public int RingBytes { get; init; } = 8 << 20;

    /// <summary>Pages (or larger folios) whose writer is remembered until they are sent to the disk; about 100 bytes each. Of a page that was forgotten the last writer of its file is told.</summary>
    public int Pages { get; init; } = 1 << 18;

    /// <summary>Files that are remembered likewise.</summary>
    public int Files { get; init; } = 1 << 14;
}
