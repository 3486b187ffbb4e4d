using System.Diagnostics;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter;
using Xunit;

namespace Quench.Tests.Snapshots.Filter;

public sealed class SpillFileTests : IAsyncDisposable
{
    private const int Block = 4096;
    private const int Blocks = 256;

    private readonly TemporaryDirectory _folder = new();
    private readonly byte[] _content = new byte[Blocks * Block];
    private readonly Disk _origin;
    private readonly List<string> _failures = [];
    private readonly List<string> _reports = [];

    public SpillFileTests()
    {
        TestSeed.NewRandom().NextBytes(_content);
        string path = Path.Combine(_folder.Path, "origin");
        File.WriteAllBytes(path, _content);
        _origin = ImageFile.Open(path, DeviceAccess.Read, exclusive: false);
    }

    public async ValueTask DisposeAsync()
    {
        await _origin.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public void What_was_saved_is_read_back_on_its_way_and_from_the_file()
    {
        using SpillFile spill = NewSpill(ringBlocks: 16);
        TimeSpan waited = default;
        for (int block = 0; block < Blocks; block += 32)
        {
            spill.Save(_origin, BlocksAt(block, 32), Blocks - 32 - block, ref waited);
            Demand(spill, block, 32, Blocks - 32 - block);
        }

        for (int block = 0; block < Blocks; block += 32)
        {
            Demand(spill, block, 32, Blocks - 32 - block);
        }

        Assert.Empty(_failures);
        Assert.InRange(spill.LongestHandling, TimeSpan.FromTicks(1), SpillSettings.LongestHandling);
    }

    [Fact]
    public void A_slot_that_is_used_again_and_again_by_many_threads_holds_what_was_put_there_last()
    {
        Random random = TestSeed.NewRandom();
        int[] seeds = [.. Enumerable.Range(0, 4).Select(_ => random.Next())];
        using SpillFile spill = NewSpill(ringBlocks: 8, budget: TimeSpan.FromSeconds(30));
        Parallel.For(0, 4, lane =>
        {
            Random mine = new(seeds[lane]);
            int[] holds = new int[8]; // which block each of this lane's slots holds
            Array.Fill(holds, -1);
            TimeSpan waited = default;
            for (int round = 0; round < 400; round++)
            {
                int slot = mine.Next(8);
                holds[slot] = mine.Next(Blocks);
                spill.Save(_origin, BlocksAt(holds[slot], 1), (lane * 8) + slot, ref waited);
                slot = mine.Next(8);
                if (holds[slot] >= 0)
                {
                    Demand(spill, holds[slot], 1, (lane * 8) + slot);
                }
            }
        });
        Assert.Empty(_failures);
    }

    [Fact]
    public void A_file_that_hangs_costs_a_saving_its_budget_and_no_more_and_closing_it_waits_for_nobody()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        trouble.Hang();
        SpillFile spill = NewSpill(ringBlocks: 8, budget: TimeSpan.FromMilliseconds(100));
        TimeSpan waited = default;
        spill.Save(_origin, BlocksAt(0, 8), 0, ref waited);
        Demand(spill, 0, 8, 0); // what is on its way can be read although the file hangs
        long since = Stopwatch.GetTimestamp();
        Assert.Throws<IOException>(() => spill.Save(_origin, BlocksAt(8, 1), 8, ref waited));
        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.FromMilliseconds(90), TimeSpan.FromSeconds(5));
        Assert.Throws<IOException>(() => spill.Read(0, 0, new byte[Block]));
        Assert.Contains("had waited 100 ms for the", Assert.Single(_failures), StringComparison.Ordinal);

        since = Stopwatch.GetTimestamp();
        spill.Dispose();
        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.False(spill.IsGivenBack);
        Assert.Contains("left behind", Assert.Single(_reports), StringComparison.Ordinal);
        trouble.Let();
        WaitFor(() => spill.IsGivenBack);
    }

    [Theory]
    [InlineData(Errno.EIO)]
    [InlineData(Errno.ENOSPC)]
    public void A_file_that_fails_is_given_up_with_the_reason(Errno error)
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        trouble.Fail(error);
        using SpillFile spill = NewSpill(ringBlocks: 8);
        TimeSpan waited = default;
        spill.Save(_origin, BlocksAt(0, 1), 0, ref waited); // it is in memory: the write behind it does not fail
        WaitFor(() => HasFailed);
        Assert.Contains("the spill file can't be written", _failures[0], StringComparison.Ordinal);
        Assert.Throws<IOException>(() => spill.Save(_origin, BlocksAt(1, 1), 1, ref waited));
    }

    [Fact]
    public void A_block_that_does_not_reach_the_file_in_time_is_noticed_though_nobody_waits()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        trouble.Hang();
        using SpillFile spill = NewSpill(ringBlocks: 8, handling: TimeSpan.FromMilliseconds(600));
        TimeSpan waited = default;
        spill.Save(_origin, BlocksAt(0, 1), 0, ref waited);
        WaitFor(() => HasFailed);
        Assert.Contains("on its way to the spill file for 0.6 s", _failures[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_read_that_hangs_fails_at_the_limit_and_holds_up_no_closing()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Read);
        SpillFile spill = NewSpill(ringBlocks: 8, handling: TimeSpan.FromSeconds(2)); // which the write before it has as well
        TimeSpan waited = default;
        spill.Save(_origin, BlocksAt(0, 1), 0, ref waited);
        WaitFor(() => spill.IsIdle);
        Assert.Empty(_failures);
        trouble.Hang();
        Assert.Throws<IOException>(() => spill.Read(0, 0, new byte[Block]));
        Assert.Contains("did not answer a read within 2 s", Assert.Single(_failures), StringComparison.Ordinal);
        long since = Stopwatch.GetTimestamp();
        spill.Dispose();
        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        trouble.Let();
        WaitFor(() => spill.IsGivenBack);
    }

    [Fact]
    public async Task A_reader_that_waits_is_sent_away_when_the_snapshot_ends()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Read);
        using SpillFile spill = NewSpill(ringBlocks: 8);
        TimeSpan waited = default;
        spill.Save(_origin, BlocksAt(0, 1), 0, ref waited);
        WaitFor(() => spill.IsIdle);
        trouble.Hang();
        Task reading = Task.Run(() => Assert.Throws<IOException>(() => spill.Read(0, 0, new byte[Block])), TestContext.Current.CancellationToken);
        trouble.WaitForCaller();
        spill.Cancel();
        await reading.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        Assert.Empty(_failures);
    }

    private bool HasFailed
    {
        get
        {
            lock (_failures)
            {
                return _failures.Count > 0;
            }
        }
    }

    private SpillFile NewSpill(int ringBlocks, TimeSpan? budget = null, TimeSpan? handling = null) => new(
        SpillOpening.Run(_folder.Path, TimeSpan.FromSeconds(30)),
        new SpillSettings
        {
            BlockSize = Block,
            RingBytes = ringBlocks * Block,
            Budget = budget ?? TimeSpan.FromSeconds(10),
            HandlingLimit = handling ?? SpillSettings.LongestHandling,
        },
        reason =>
        {
            lock (_failures)
            {
                _failures.Add(reason);
            }
        },
        _reports.Add);

    private void Demand(SpillFile spill, int block, int count, long slot)
    {
        byte[] found = new byte[(count * Block) - 100];
        spill.Read(slot, 50, found);
        Assert.True(_content.AsSpan((block * Block) + 50, found.Length).SequenceEqual(found));
    }

    private static Extent BlocksAt(int first, int count) => new((long)first * Block, (long)count * Block);

    private static void WaitFor(Func<bool> isSo) => Assert.True(SpinWait.SpinUntil(isSo, TimeSpan.FromSeconds(20)));
}
