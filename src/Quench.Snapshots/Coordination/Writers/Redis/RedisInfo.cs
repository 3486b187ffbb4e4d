using System.Globalization;

namespace Quench.Snapshots.Coordination.Writers.Redis;

/// <summary>What INFO answers: lines of "name:value". (Redis documentation, "INFO")</summary>
internal sealed class RedisInfo(string text)
{
    private readonly Dictionary<string, string> _values = text.Split("\r\n")
        .Select(line => line.Split(':', 2))
        .Where(parts => parts.Length == 2)
        .GroupBy(parts => parts[0], parts => parts[1])
        .ToDictionary(group => group.Key, group => group.Last());

    internal bool AppendsToFile => Number("aof_enabled") == 1;

    internal string Version => Text("redis_version");

    /// <summary>Whether nothing that was acknowledged is still on its way into the append-only file: no buffer, no write put off, no sync under way.</summary>
    internal bool IsAppended => Number("aof_buffer_length") == 0 && Number("aof_pending_bio_fsync") == 0;

    internal bool IsAppendSound => Text("aof_last_write_status") == "ok";

    internal bool IsSaving => Number("rdb_bgsave_in_progress") == 1;

    internal bool IsLastSaveSound => Text("rdb_last_bgsave_status") == "ok";

    /// <summary>How long the last save took, in whole seconds; -1 when there was none.</summary>
    internal long LastSaveSeconds => Number("rdb_last_bgsave_time_sec");

    internal bool IsReplica => Text("role") == "slave";

    internal bool IsLoading => Number("loading") == 1;

    /// <summary>
    /// Whether it is the same server and no data has changed. Each change counts and makes the append-only file longer; a save that ends sets the count back, and a rewrite that ends the
    /// length, so one of the two is enough.
    /// </summary>
    internal bool IsUnchangedSince(RedisInfo before) => IsSame("run_id", before)
        && ((AppendsToFile && IsSame("aof_current_size", before)) || (IsSame("rdb_changes_since_last_save", before) && IsSame("rdb_last_save_time", before)));

    private bool IsSame(string name, RedisInfo before) => Text(name).Length > 0 && Text(name) == before.Text(name);

    private string Text(string name) => _values.GetValueOrDefault(name, "");

    private long Number(string name) => long.TryParse(Text(name), CultureInfo.InvariantCulture, out long number) ? number : -1;
}
