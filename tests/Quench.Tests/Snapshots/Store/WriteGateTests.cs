using Quench.Snapshots.Store;
using Xunit;

namespace Quench.Tests.Snapshots.Store;

/// <summary>The gate that makes an instant.</summary>
public sealed class WriteGateTests
{
    [Fact]
    public async Task No_write_is_inside_while_the_gate_is_closed()
    {
        WriteGate gate = new();
        int inside = 0;
        int passed = 0;
        bool stop = false;
        Task[] writers = [.. Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
            () =>
            {
                while (!Volatile.Read(ref stop))
                {
                    gate.Enter();
                    Interlocked.Increment(ref inside);
                    Interlocked.Increment(ref passed);
                    Interlocked.Decrement(ref inside);
                    gate.Leave();
                }
            },
            TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        for (int round = 0; round < 200; round++)
        {
            Assert.True(gate.TryClose(TimeSpan.FromSeconds(30)));
            int before = Volatile.Read(ref passed);
            Assert.Equal(0, Volatile.Read(ref inside));
            Thread.Yield();
            Assert.Equal(before, Volatile.Read(ref passed));
            gate.Open();
        }

        Volatile.Write(ref stop, true);
        await Task.WhenAll(writers);
        Assert.True(passed > 0);
    }

    [Fact]
    public void A_write_that_does_not_land_keeps_the_gate_open()
    {
        WriteGate gate = new();
        gate.Enter();

        Assert.False(gate.TryClose(TimeSpan.FromMilliseconds(1)));

        gate.Enter(); // would hang at a closed gate
        gate.Leave();
        gate.Leave();
        Assert.True(gate.TryClose(TimeSpan.FromSeconds(30)));
    }
}
