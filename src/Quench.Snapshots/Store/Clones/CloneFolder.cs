namespace Quench.Snapshots.Store.Clones;

/// <summary>Where a background clone says how it stands, on a file system that a reboot empties.</summary>
/// <remarks>
/// <code>
/// /run/quench/clones/ID/
///     lock          held by the process that copies, for as long as it lives
///     job.json      what is copied where; there once copying has begun; never changed
///     progress      bytes done and bytes in all, 8 bytes each, little-endian; two figures for people, which need not be of one moment
///     outcome.json  how it ended; never changed
///     log           what the process had to say
/// </code>
/// QUENCH_RUN_DIR puts it elsewhere.
/// </remarks>
internal sealed record CloneFolder(string Path)
{
    internal static string Root => System.IO.Path.Combine(Environment.GetEnvironmentVariable("QUENCH_RUN_DIR") is { Length: > 0 } named ? named : "/run/quench", "clones");

    internal string Id => System.IO.Path.GetFileName(Path);

    internal string Lock => System.IO.Path.Combine(Path, "lock");

    internal string Job => System.IO.Path.Combine(Path, "job.json");

    internal string Progress => System.IO.Path.Combine(Path, "progress");

    internal string Outcome => System.IO.Path.Combine(Path, "outcome.json");

    internal string Log => System.IO.Path.Combine(Path, "log");

    internal static CloneFolder Of(string id) => new(System.IO.Path.Combine(Root, id));

    internal static IEnumerable<CloneFolder> All() =>
        Directory.Exists(Root) ? Directory.EnumerateDirectories(Root).Order(StringComparer.Ordinal).Select(folder => new CloneFolder(folder)) : [];
}
