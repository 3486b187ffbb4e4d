namespace Quench.Vault;

/// <summary>What was left out of a volume's image on purpose: the data of files, which read as zeros after a restore. Their names, lengths and all else are in the image. (docs/vault-format.md §9.1)</summary>
public sealed record ExclusionRecord
{
    /// <summary>How many files.</summary>
    public required long Files { get; init; }

    /// <summary>Bytes of their blocks.</summary>
    public required long Bytes { get; init; }

    /// <summary>The rules by which it was done, those that met nothing included.</summary>
    public required IReadOnlyList<ExclusionRuleRecord> Rules { get; init; }

    /// <summary>What the rules met and was kept all the same, a sentence each; not all of them when there were many.</summary>
    public IReadOnlyList<string> Kept { get; init; } = [];
}

/// <summary>A rule, and what was left out by it.</summary>
public sealed record ExclusionRuleRecord
{
    /// <summary>The pattern, from the root folder of a file system on.</summary>
    public required string Pattern { get; init; }

    /// <summary>"user", or what the files were taken for: "page file", "hibernation file", "swap file", "vault", "diff area".</summary>
    public required string Origin { get; init; }

    /// <summary>Bytes at each file's start that were kept.</summary>
    public long KeptHead { get; init; }

    /// <summary>How many files.</summary>
    public required long Files { get; init; }

    /// <summary>Bytes of their blocks.</summary>
    public required long Bytes { get; init; }

    /// <summary>The files; of all rules together at most 1000 are named.</summary>
    public required IReadOnlyList<ExcludedFileRecord> Names { get; init; }
}

/// <summary>A file whose data were left out.</summary>
/// <param name="Path">From the root folder of its file system on.</param>
/// <param name="Partition">The number of the partition that its file system lies on; null when it has the volume to itself.</param>
/// <param name="Length">Bytes of the file.</param>
/// <param name="Bytes">Bytes of the blocks that were left out.</param>
public sealed record ExcludedFileRecord(string Path, int? Partition, long Length, long Bytes);
