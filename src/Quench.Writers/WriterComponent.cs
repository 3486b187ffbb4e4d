namespace Quench.Writers;

/// <summary>Files that are backed up and restored together.</summary>
public sealed record WriterComponent
{
    /// <summary>Letters, digits, blanks, dashes, dots and underscores; at most 64.</summary>
    public required string Name { get; init; }

    /// <summary>For people.</summary>
    public string Caption { get; init; } = "";

    /// <summary>What kind of thing it is.</summary>
    public ComponentKind Kind { get; init; }

    /// <summary>The files that belong to it.</summary>
    public required IReadOnlyList<WriterFiles> Files { get; init; }

    /// <summary>Those of them that do not.</summary>
    public IReadOnlyList<WriterFiles> Excluded { get; init; } = [];

    /// <summary>How it is restored.</summary>
    public RestoreMethod Restore { get; init; }

    /// <summary>What else a person must know to restore it.</summary>
    public string RestoreNote { get; init; } = "";
}
