namespace Quench.FileSystems.Btrfs;

/// <summary>The numbers of trees that this reader looks at.</summary>
internal static class TreeId
{
    public const ulong Roots = 1;
    public const ulong Extents = 2;
    public const ulong Chunks = 3;
    public const ulong BlockGroups = 11;

    /// <summary>The log, and the trees in it: -6.</summary>
    public const ulong Log = ulong.MaxValue - 5;
}
