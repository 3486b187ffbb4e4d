namespace Quench.Writers;

/// <summary>Who a writer is and what it owns.</summary>
public sealed record WriterDescription
{
    /// <summary>Of this kind of writer, the same everywhere.</summary>
    public required Guid Id { get; init; }

    /// <summary>Letters, digits, blanks, dashes, dots and underscores; at most 64.</summary>
    public required string Name { get; init; }

    /// <summary>Which one it is where there may be several, such as a data directory.</summary>
    public string Instance { get; init; } = "";

    /// <summary>The application's version.</summary>
    public string Version { get; init; } = "";

    /// <summary>How it is held, in a sentence.</summary>
    public string Method { get; init; } = "";

    /// <summary>When it is held.</summary>
    public FreezeLevel Level { get; init; } = FreezeLevel.BackEnd;

    /// <summary>Why it can't be held, if that is known: then it is shown, and not asked again. Null when it can.</summary>
    public string? CannotHold { get; init; }

    /// <summary>What it owns, at most 1000; no two with one name.</summary>
    public IReadOnlyList<WriterComponent> Components { get; init; } = [];
}
