namespace Quench.Snapshots.Writes;

/// <summary>What the data of a write belongs to.</summary>
public enum WrittenKind
{
    /// <summary>A file of the volume.</summary>
    File,

    /// <summary>The file system's own structures, where they can be told from files' data; of a device without a file system, the device.</summary>
    Metadata,

    /// <summary>Nothing that could be told: a journal, data that went past the cache, or a request without data, such as a discard.</summary>
    Unknown,
}

/// <summary>A file that was written. One object for one file of a watch: compare by reference. Thread-safe.</summary>
/// <param name="kind">What it is.</param>
/// <param name="inode">Its number in the file system; 0 when it is no file.</param>
public sealed class WrittenFile(WrittenKind kind, ulong inode)
{
    /// <summary>What it is.</summary>
    public WrittenKind Kind { get; } = kind;

    /// <summary>Its number in the file system; 0 when it is no file.</summary>
    public ulong Inode { get; } = inode;

    /// <summary>Its path from the file system's root, by the name that it had when it was written last; null when none is known: it had been deleted, or its name was lost.</summary>
    public string? Path { get; set; }
}
