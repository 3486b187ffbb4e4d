namespace Quench.Imaging.Capture.Exclusions;

/// <summary>One reason to leave the data of files out of an image.</summary>
/// <param name="Glob">Which files.</param>
/// <param name="Origin">Whose rule it is: <see cref="ByUser"/>, or what Quench takes the files for.</param>
public sealed record ExclusionRule(PathGlob Glob, string Origin)
{
    /// <summary>The user named them.</summary>
    public const string ByUser = "user";

    /// <summary>Memory that Windows has written out.</summary>
    public const string PageFile = "page file";

    /// <summary>The memory of a Windows that slept, and does not any more.</summary>
    public const string HibernationFile = "hibernation file";

    /// <summary>Memory that Linux has written out.</summary>
    public const string SwapFile = "swap file";

    /// <summary>The vault that the image goes into.</summary>
    public const string Vault = "vault";

    /// <summary>Old blocks that Quench keeps for snapshots.</summary>
    public const string DiffArea = "diff area";

    /// <summary>The only type of file system on which it holds; null for all.</summary>
    public string? FileSystem { get; init; }

    /// <summary>Whether it holds on a volume with one file system only, and not on the partitions of a disk.</summary>
    public bool OnlyWhole { get; init; }

    /// <summary>Whether case never counts, whatever the file system says.</summary>
    public bool IgnoresCase { get; init; }

    /// <summary>Bytes at each file's start that are kept.</summary>
    public long KeptHead { get; init; }

    /// <summary>Letters of ASCII; a file that begins with them is kept. Null for none.</summary>
    public string? UnlessStart { get; init; }

    /// <summary>Whether the user asked for it, and must be told when it can't be done.</summary>
    public bool IsByUser => Origin == ByUser;

    /// <summary>Whether it holds on a file system.</summary>
    internal bool HoldsOn(string type, int? partition) => (FileSystem is null || FileSystem == type) && (partition is null || !OnlyWhole);
}
