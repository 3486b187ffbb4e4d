using Quench.Snapshots.Coordination.Writers.Redis;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>What a Redis server says of itself, and whether it has changed since.</summary>
public sealed class RedisInfoTests
{
    [Theory]
    [InlineData("a", 1, 500, 3, 9, true)]  // nothing
    [InlineData("a", 1, 500, 0, 10, true)] // a save has ended, and set the count back
    [InlineData("a", 1, 90, 3, 9, true)]   // a rewrite has ended, and made the file shorter
    [InlineData("a", 1, 530, 4, 9, false)] // a write
    [InlineData("a", 0, 500, 0, 10, false)] // a save has ended, and there is no file that would tell
    [InlineData("b", 1, 500, 3, 9, false)] // another server
    public void A_change_is_seen_by_what_only_changes_make(string run, int appends, int size, int changes, int saved, bool same) =>
        Assert.Equal(same, Info(run, appends, size, changes, saved).IsUnchangedSince(Info("a", appends, 500, 3, 9)));

    [Fact]
    public void A_server_that_says_nothing_confirms_nothing() => Assert.False(new RedisInfo("").IsUnchangedSince(new RedisInfo("")));

    private static RedisInfo Info(string run, int appends, int size, int changes, int saved) => new(
        $"# Server\r\nrun_id:{run}\r\n\r\naof_enabled:{appends}\r\naof_current_size:{size}\r\nrdb_changes_since_last_save:{changes}\r\nrdb_last_save_time:{saved}\r\n");
}
