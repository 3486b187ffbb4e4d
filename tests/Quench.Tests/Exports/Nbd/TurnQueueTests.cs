using Quench.Exports.Nbd;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>One at a time, first come, first served.</summary>
public sealed class TurnQueueTests
{
    [Fact]
    public async Task Who_waits_gets_the_turn_in_the_order_they_came()
    {
        TurnQueue queue = new();
        TurnQueue.Turn[] turns = [new(), new(), new()];
        for (int round = 0; round < 3; round++) // turns are used again
        {
            Assert.False(queue.HasWaiters);
            await queue.TakeAsync(new TurnQueue.Turn());
            Task[] waiting = [.. turns.Select(turn => queue.TakeAsync(turn).AsTask())];
            Assert.True(queue.HasWaiters);
            foreach (Task next in waiting)
            {
                Assert.False(next.IsCompleted);
                queue.Release();
                await next;
            }

            queue.Release();
        }
    }

    [Fact]
    public async Task Many_never_have_it_at_once()
    {
        TurnQueue queue = new();
        int inside = 0;
        int sum = 0;
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            TurnQueue.Turn turn = new();
            for (int i = 0; i < 2000; i++)
            {
                await queue.TakeAsync(turn);
                Assert.Equal(1, Interlocked.Increment(ref inside));
                sum++; // unguarded but by the turn
                Interlocked.Decrement(ref inside);
                queue.Release();
            }
        })));
        Assert.Equal(32_000, sum);
    }
}
