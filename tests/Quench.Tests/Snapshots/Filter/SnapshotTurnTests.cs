using Quench.Snapshots.Providers.Filter;
using Xunit;

namespace Quench.Tests.Snapshots.Filter;

/// <summary>One snapshot a volume, and a little patience with a holder that is on its way out.</summary>
public sealed class SnapshotTurnTests
{
    private static readonly TimeSpan s_longEnough = TimeSpan.FromSeconds(30);

    [Fact]
    public void Only_one_has_it()
    {
        SnapshotTurn turn = new();
        Assert.True(turn.TryTake(TimeSpan.Zero));
        Assert.False(turn.TryTake(TimeSpan.Zero));
        turn.Release();
        Assert.True(turn.TryTake(TimeSpan.Zero));
    }

    [Fact]
    public void Who_waits_is_refused_when_its_patience_ends()
    {
        SnapshotTurn turn = new();
        turn.TryTake(TimeSpan.Zero);
        Assert.False(turn.TryTake(TimeSpan.FromMilliseconds(20)));
    }

    [Fact]
    public async Task Who_waits_gets_it_when_the_holder_ends()
    {
        SnapshotTurn turn = new();
        turn.TryTake(TimeSpan.Zero);
        using ManualResetEventSlim asking = new();
        Task<bool> next = Task.Run(
            () =>
            {
                asking.Set();
                return turn.TryTake(s_longEnough);
            },
            TestContext.Current.CancellationToken);
        asking.Wait(TestContext.Current.CancellationToken);
        Assert.False(next.IsCompleted);
        turn.Release();
        Assert.True(await next.WaitAsync(s_longEnough, TestContext.Current.CancellationToken));
        Assert.False(turn.TryTake(TimeSpan.Zero));
    }
}
