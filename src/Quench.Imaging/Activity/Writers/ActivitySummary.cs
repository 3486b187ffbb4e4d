using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>What the watches of a volume come to.</summary>
public sealed record ActivitySummary
{
    /// <summary>The last watch.</summary>
    public required ActivitySession Session { get; init; }

    /// <summary>When the first watch began.</summary>
    public required DateTimeOffset Start { get; init; }

    /// <summary>When the last one ended.</summary>
    public required DateTimeOffset End { get; init; }

    /// <summary>How long was watched in all.</summary>
    public required TimeSpan Watched { get; init; }

    /// <summary>Requests and bytes, by what they do.</summary>
    public required IReadOnlyList<KindSummary> Kinds { get; init; }

    /// <summary>Who wrote, most bytes first.</summary>
    public required IReadOnlyList<ProcessSummary> Processes { get; init; }

    /// <summary>What was written to, most bytes first.</summary>
    public required IReadOnlyList<FileSummary> Files { get; init; }

    /// <summary>Bytes of the different blocks of 4 KiB that were written, discarded or zeroed, each counted once in each watch.</summary>
    public required long DistinctBytes { get; init; }

    /// <summary>What was missed.</summary>
    public required WriteLosses Losses { get; init; }

    /// <summary>What a diff area needs for backups of some lengths.</summary>
    public required IReadOnlyList<DiffAreaForecast> DiffAreas { get; init; }

    /// <summary>How long a backup of the mounted volume would hold its writers.</summary>
    public required FreezeForecast Freeze { get; init; }

    /// <summary>The stretch in which least was written; null when too little was watched to have one.</summary>
    public required BusyTime? Quietest { get; init; }

    /// <summary>The stretch in which most was written.</summary>
    public required BusyTime? Busiest { get; init; }

    /// <summary>By the hour of the day, those that were watched.</summary>
    public required IReadOnlyList<HourSummary> Hours { get; init; }

    /// <summary>For plots.</summary>
    public required ActivityTimeline Timeline { get; init; }

    /// <summary>Writes and their bytes.</summary>
    public KindSummary Writes => Kinds[(int)WriteKind.Write];

    /// <summary>How many files of the volume were written to.</summary>
    public int FileCount => Files.Count(file => file.File.Kind == WrittenKind.File);

    /// <summary>Writes and bytes of a group.</summary>
    public (long Writes, long Bytes) Of(ProcessGroup group) =>
        Processes.Where(process => process.Group == group).Aggregate((Writes: 0L, Bytes: 0L), (sum, process) => (sum.Writes + process.Writes, sum.Bytes + process.Bytes));
}

/// <summary>Requests of one kind.</summary>
/// <param name="Kind">What they do.</param>
/// <param name="Count">How many.</param>
/// <param name="Bytes">Of how many bytes.</param>
public sealed record KindSummary(WriteKind Kind, long Count, long Bytes);

/// <summary>What processes of one name wrote.</summary>
/// <param name="Name">The name; empty when nobody is known.</param>
/// <param name="Group">Which group they belong to.</param>
/// <param name="IsKernel">Whether they are threads of the kernel.</param>
/// <param name="Processes">How many there were.</param>
/// <param name="Writes">How many writes.</param>
/// <param name="Bytes">How many bytes.</param>
/// <param name="Files">To how many files.</param>
public sealed record ProcessSummary(string Name, ProcessGroup Group, bool IsKernel, int Processes, long Writes, long Bytes, int Files);

/// <summary>What was written to one file.</summary>
/// <param name="File">Which.</param>
/// <param name="Writes">How many writes.</param>
/// <param name="Bytes">How many bytes.</param>
/// <param name="Processes">The names of those who did.</param>
public sealed record FileSummary(WrittenFile File, long Writes, long Bytes, IReadOnlyList<string> Processes);

/// <summary>A stretch of time.</summary>
/// <param name="Start">When it begins.</param>
/// <param name="Length">How long it is.</param>
/// <param name="Writes">Writes in it.</param>
/// <param name="Bytes">Bytes of those.</param>
public sealed record BusyTime(DateTimeOffset Start, TimeSpan Length, long Writes, long Bytes);

/// <summary>One hour of the day.</summary>
/// <param name="Hour">0 to 23, of the zone that was asked for.</param>
/// <param name="Watched">How long it was watched, over all days.</param>
/// <param name="Writes">Writes in that time.</param>
/// <param name="Bytes">Bytes of those.</param>
public sealed record HourSummary(int Hour, TimeSpan Watched, long Writes, long Bytes)
{
    /// <summary>Bytes for each watched hour.</summary>
    public double BytesPerHour => Watched > TimeSpan.Zero ? Bytes / Watched.TotalHours : 0;
}

/// <summary>What a diff area needs for a backup of some length: the different blocks of 4 KiB that change meanwhile. No more than that, because blocks that were free at the instant are not saved.</summary>
/// <param name="Length">How long the backup takes.</param>
/// <param name="Median">Bytes in the median stretch of that length.</param>
/// <param name="Most">Bytes in the worst stretch.</param>
/// <param name="IsExtrapolated">Whether no watch was that long: then both are what the longest watch had, in proportion, which is too much where blocks are written again and again.</param>
public sealed record DiffAreaForecast(TimeSpan Length, long Median, long Most, bool IsExtrapolated);

/// <summary>How long a backup of the mounted volume (the tracked provider) would hold its writers, by a simple model.</summary>
/// <param name="Median">In the median second; null when so much is written then that copying does not get ahead.</param>
/// <param name="Most">In the worst second; null likewise.</param>
public sealed record FreezeForecast(TimeSpan? Median, TimeSpan? Most);
