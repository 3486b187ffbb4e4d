namespace Quench.Imaging.Recovery;

/// <summary>What a user asks a restore to do.</summary>
/// <param name="Target">A device, or a file that may or may not exist.</param>
public sealed record RestoreRequest(string Target)
{
    /// <summary>The volume's name; may be null when the point has only one.</summary>
    public string? Volume { get; init; }

    /// <summary>Read the target first, and write only what differs.</summary>
    public bool OnlyDifferent { get; init; }

    /// <summary>Read everything back at the end and compare.</summary>
    public bool ReadBack { get; init; }

    /// <summary>Overwrite the very volume that the point was taken of.</summary>
    public bool InPlace { get; init; }

    /// <summary>Only this partition of a disk, by its number; null for all of the volume.</summary>
    public int? Partition { get; init; }

    /// <summary>Let the partition that lies last on the disk take the room behind it.</summary>
    public bool GrowLast { get; init; }
}
