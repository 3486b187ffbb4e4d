using System.Text;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter.Supervision;
using Xunit;

namespace Quench.Tests.Snapshots.Filter.Supervision;

/// <summary>What a holder sees of a worker that was killed. That one can be left behind for real, the system tests show.</summary>
public sealed class WorkerRemainsTests
{
    private const string Rest = "1 2 3 4 5 {0} 6 7 8 9 10 11 12 13 14 15 23 17 18 19";

    [Theory]
    [InlineData("77 (fuse-0) D ", "4194304", false, true)]
    [InlineData("77 (a) D (b) S ) S ", "4194304", false, false)]
    [InlineData("77 (fuse-0) R ", "4194304", false, false)]
    [InlineData("77 (fuse-0) R ", "4194308", true, false)]
    [InlineData("77 (quench) Z ", "4227084", true, false)]
    public void A_thread_is_asleep_or_gone_or_may_still_run(string head, string flags, bool gone, bool asleep)
    {
        Assert.True(WorkerRemains.TryParse(Encoding.ASCII.GetBytes(head + Rest.Replace("{0}", flags, StringComparison.Ordinal)), out ThreadLook look));
        Assert.Equal(new ThreadLook(gone, asleep, 23), look);
    }

    [Theory]
    [InlineData("")]
    [InlineData("77 (fuse-0) D 1 2 3")]
    [InlineData("77 (fuse-0) D 1 2 3 4 5 x 6 7 8 9 10 11 12 13 14 15 23 17")]
    public void What_is_not_understood_is_no_look(string stat) => Assert.False(WorkerRemains.TryParse(Encoding.ASCII.GetBytes(stat), out _));

    [Fact]
    public void A_process_that_runs_is_in_doubt_and_has_not_begun_to_end()
    {
        using SharedMemory memory = SharedMemory.Create("test-board", Board.Cells);
        Assert.Equal(Remainder.Doubtful, WorkerRemains.Look(Environment.ProcessId, memory));
        Assert.False(WorkerRemains.HasBegunToEnd(Environment.ProcessId));
    }
}
