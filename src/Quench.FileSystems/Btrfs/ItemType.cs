namespace Quench.FileSystems.Btrfs;

/// <summary>What an item is, as far as this reader looks at it.</summary>
internal enum ItemType : byte
{
    None = 0,

    /// <summary>A piece of a file: in a log, the only thing that can name data.</summary>
    FileExtent = 108,

    /// <summary>Where the root of a tree is.</summary>
    Root = 132,

    /// <summary>An allocated extent: objectid is its place, offset its length.</summary>
    Extent = 168,

    /// <summary>An allocated tree block: objectid is its place, offset its level.</summary>
    Metadata = 169,

    /// <summary>How much of a chunk is allocated: objectid is its place, offset its length.</summary>
    BlockGroup = 192,

    /// <summary>Where a chunk is on the device: offset is its place.</summary>
    Chunk = 228,
}
