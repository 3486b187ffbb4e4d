using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Blocks;

public sealed class RangeLedgerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Ranges_that_do_not_overlap_are_held_at_once()
    {
        RangeLedger ledger = new();
        using RangeLedger.Hold first = await ledger.HoldAsync(new Extent(0, 10), Token);
        ValueTask<RangeLedger.Hold> second = ledger.HoldAsync(new Extent(10, 10), Token);
        Assert.True(second.IsCompletedSuccessfully);
        (await second).Dispose();
        Assert.Equal(1, ledger.Count);
    }

    [Fact]
    public async Task Who_overlaps_waits_and_goes_in_order_of_arrival()
    {
        RangeLedger ledger = new();
        RangeLedger.Hold first = await ledger.HoldAsync(new Extent(0, 10), Token);
        Task<RangeLedger.Hold> second = ledger.HoldAsync(new Extent(5, 10), Token).AsTask();
        Task<RangeLedger.Hold> third = ledger.HoldAsync(new Extent(12, 10), Token).AsTask();
        Assert.False(second.IsCompleted);
        Assert.False(third.IsCompleted, "the third overlaps the second, which came earlier");
        first.Dispose();
        RangeLedger.Hold held = await second;
        Assert.False(third.IsCompleted);
        held.Dispose();
        (await third).Dispose();
        Assert.Equal(0, ledger.Count);
    }

    [Fact]
    public async Task Letting_go_twice_does_nothing()
    {
        RangeLedger ledger = new();
        RangeLedger.Hold first = await ledger.HoldAsync(new Extent(0, 10), Token);
        first.Dispose();
        using RangeLedger.Hold second = await ledger.HoldAsync(new Extent(0, 10), Token);
        first.Dispose();
        Assert.Equal(1, ledger.Count);
    }

    [Fact]
    public async Task Who_gives_up_waiting_stands_in_nobodys_way()
    {
        RangeLedger ledger = new();
        using CancellationTokenSource impatience = new();
        RangeLedger.Hold first = await ledger.HoldAsync(new Extent(0, 10), Token);
        Task<RangeLedger.Hold> second = ledger.HoldAsync(new Extent(0, 20), impatience.Token).AsTask();
        Task<RangeLedger.Hold> third = ledger.HoldAsync(new Extent(15, 5), Token).AsTask();
        await impatience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        (await third).Dispose();
        first.Dispose();
        Assert.Equal(0, ledger.Count);
    }

    [Fact]
    public async Task Nobody_is_ever_inside_with_another()
    {
        RangeLedger ledger = new();
        int[] inside = new int[64];
        int worst = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(lane => Task.Run(
            async () =>
            {
                Random random = new(TestSeed.Value + lane);
                for (int round = 0; round < 500; round++)
                {
                    int start = random.Next(60);
                    using RangeLedger.Hold hold = await ledger.HoldAsync(new Extent(start, random.Next(1, 64 - start)), Token);
                    for (long place = hold.Range.Offset; place < hold.Range.End; place++)
                    {
                        InterlockedMax(ref worst, Interlocked.Increment(ref inside[place]));
                    }

                    await Task.Yield();
                    for (long place = hold.Range.Offset; place < hold.Range.End; place++)
                    {
                        Interlocked.Decrement(ref inside[place]);
                    }
                }
            },
            Token)));
        Assert.Equal(1, worst);
        Assert.Equal(0, ledger.Count);
    }

    private static void InterlockedMax(ref int target, int value)
    {
        int seen = Volatile.Read(ref target);
        while (value > seen)
        {
            int present = Interlocked.CompareExchange(ref target, value, seen);
            if (present == seen)
            {
                return;
            }

            seen = present;
        }
    }
}
