namespace Quench.Snapshots.Coordination;

/// <summary>What a backup does to the writers' logs.</summary>
public enum BackupKind
{
    /// <summary>Nothing: the backup leaves no trace in the application. The default, as in VSS a copy backup.</summary>
    Copy,

    /// <summary>It stands in the application's history: when it succeeds, logs that it holds may be truncated.</summary>
    Full,
}

/// <summary>A backup as its writers see it.</summary>
public sealed record BackupOperation
{
    /// <summary>The snapshot set; new in each try.</summary>
    public required Guid SetId { get; init; }

    /// <summary>The volumes that are taken at one instant.</summary>
    public required IReadOnlyList<OperationVolume> Volumes { get; init; }

    /// <summary>Whether logs may be truncated in the end.</summary>
    public BackupKind Kind { get; init; }

    /// <summary>
    /// The longest that a writer's hold may last, from the beginning of its freeze; a writer lets go by itself then. Give it to the server where it takes such a limit.
    /// </summary>
    public required TimeSpan HoldLimit { get; init; }

    /// <summary>The names of this writer's components that are wanted; null for all.</summary>
    public IReadOnlyList<string>? Components { get; init; }
}

/// <summary>A volume of the set.</summary>
/// <param name="Name">The name it has in the point.</param>
/// <param name="Device">What is imaged, as the user would name it.</param>
/// <param name="MountPoint">Where it is mounted; null when it is not.</param>
public sealed record OperationVolume(string Name, string Device, string? MountPoint);

/// <summary>How a backup ended.</summary>
/// <param name="Succeeded">Its point is committed.</param>
/// <param name="PointId">The point; null when there is none.</param>
/// <param name="MayTruncateLogs">The point holds this writer's components at application grade, and the backup was a full one.</param>
public sealed record BackupOutcome(bool Succeeded, Guid? PointId, bool MayTruncateLogs);

/// <summary>What is put back.</summary>
/// <param name="PointId">The point that the files come from.</param>
/// <param name="Components">The components' names.</param>
/// <param name="Target">The folder that stands for the root of the machine's paths: "/" when they go where they were.</param>
/// <param name="Documents">What the writer handed over in that point.</param>
public sealed record RestoreOperation(Guid PointId, IReadOnlyList<string> Components, string Target, IReadOnlyList<WriterDocument> Documents);

/// <summary>Something a writer needs when its component is restored and that lies in no file of the image.</summary>
/// <param name="Name">Its name, unique within the writer, such as "backup_label". Letters, digits, dot, dash, underscore; at most 64.</param>
/// <param name="Path">Where a restore puts it, absolute; null when it is not put anywhere.</param>
/// <param name="Text">Its text; at most 256 KiB.</param>
public sealed record WriterDocument(string Name, string? Path, string Text)
{
    /// <summary>The longest text, in characters.</summary>
    public const int LongestText = 256 * 1024;

    /// <summary>The most documents of one writer.</summary>
    public const int MostOfOneWriter = 16;
}
