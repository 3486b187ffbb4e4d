namespace Quench.Cli.Commands.Activity;

/// <summary>What was asked for, in order.</summary>
internal sealed record ActivityChoice
{
    /// <summary>The volume to watch; null when a log is read.</summary>
    public string? Volume { get; init; }

    /// <summary>The log to read; null when a volume is watched.</summary>
    public string? From { get; init; }

    /// <summary>How long to watch; null for no end.</summary>
    public TimeSpan? For { get; init; }

    /// <summary>Whether each write is told as it is heard.</summary>
    public bool IsLive { get; init; }

    /// <summary>The log to append to.</summary>
    public string? Log { get; init; }

    /// <summary>The picture to draw.</summary>
    public string? Picture { get; init; }

    /// <summary>Rows of each table.</summary>
    public required int Top { get; init; }

    /// <summary>For which lengths of a backup the diff area is forecast.</summary>
    public required IReadOnlyList<TimeSpan> BackupLengths { get; init; }

    /// <summary>Whether it goes to scripts.</summary>
    public bool IsJson { get; init; }
}
