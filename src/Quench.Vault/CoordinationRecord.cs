namespace Quench.Vault;

/// <summary>How the applications on a point's volumes were held at its instant, and what each of them answered. (docs/vault-format.md §9.1)</summary>
public sealed record CoordinationRecord
{
    /// <summary>The snapshot set.</summary>
    public required Guid Set { get; init; }

    /// <summary>How many instants were tried; the last one counts.</summary>
    public int Tries { get; init; }

    /// <summary>How long writers might have been held, in milliseconds.</summary>
    public double WriterLimitMilliseconds { get; init; }

    /// <summary>How long the provider might have taken while they were.</summary>
    public double ProviderLimitMilliseconds { get; init; }

    /// <summary>The writers that were found, whatever became of them.</summary>
    public required IReadOnlyList<WriterRecord> Writers { get; init; }

    /// <summary>The user's commands that were run; the one after the backup comes too late to be in here.</summary>
    public IReadOnlyList<HookRecord> Hooks { get; init; } = [];

    /// <summary>The writer metadata document, XML.</summary>
    public string MetadataDocument { get; init; } = "";

    /// <summary>The backup components document, XML.</summary>
    public string ComponentsDocument { get; init; } = "";
}

/// <summary>One writer in one backup.</summary>
public sealed record WriterRecord
{
    /// <summary>The kind of writer.</summary>
    public required Guid Id { get; init; }

    /// <summary>Which one of its kind.</summary>
    public required Guid Instance { get; init; }

    /// <summary>What people call it.</summary>
    public required string Name { get; init; }

    /// <summary>Which one it is, where there may be several; empty when there is one.</summary>
    public string InstanceName { get; init; } = "";

    /// <summary>The application's version; empty when unknown.</summary>
    public string Version { get; init; } = "";

    /// <summary>How it held its writes, in a sentence; empty when it did not say who it is.</summary>
    public string Method { get; init; } = "";

    /// <summary>Where it stood when the point was committed: VSS's number of a writer state.</summary>
    public int State { get; init; }

    /// <summary>Why it failed: VSS's number of a writer error, 0 when it did not.</summary>
    public uint Error { get; init; }

    /// <summary>Why, in words.</summary>
    public string? Message { get; init; }

    /// <summary>It was held over the instant, confirmed it in time, and handed over what a restore needs.</summary>
    public bool Consistent { get; init; }

    /// <summary>How long its writes were held; null when they were not.</summary>
    public double? HeldMilliseconds { get; init; }

    /// <summary>What it owns on the point's volumes.</summary>
    public IReadOnlyList<ComponentRecord> Components { get; init; } = [];

    /// <summary>Each call, in order.</summary>
    public IReadOnlyList<WriterStepRecord> Steps { get; init; } = [];
}

/// <summary>A component that a point holds.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Grade">How consistent it is: "crash", "file-system", "application".</param>
/// <param name="Volumes">The point's volumes that its files lie on.</param>
/// <param name="Whole">All of its files lie on them.</param>
public sealed record ComponentRecord(string Name, string Grade, IReadOnlyList<string> Volumes, bool Whole);

/// <summary>One call of a writer.</summary>
/// <param name="Event">What it was asked: "freeze".</param>
/// <param name="Began">Milliseconds after the operation began.</param>
/// <param name="Took">Milliseconds until it answered, or until it was given up.</param>
/// <param name="Error">VSS's number of a writer error; 0 when it did what it was asked.</param>
/// <param name="Message">Why it failed.</param>
public sealed record WriterStepRecord(string Event, double Began, double Took, uint Error, string? Message);

/// <summary>One command of the user's.</summary>
/// <param name="Moment">When it was run: "before-snapshot", "after-snapshot".</param>
/// <param name="Program">Its path.</param>
/// <param name="ExitCode">How it ended; null when it was killed.</param>
/// <param name="Took">Milliseconds.</param>
/// <param name="Message">What was wrong with it; null when nothing.</param>
public sealed record HookRecord(string Moment, string Program, int? ExitCode, double Took, string? Message);
