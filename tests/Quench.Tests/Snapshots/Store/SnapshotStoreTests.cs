using System.Diagnostics;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;
using Quench.Tests.Snapshots.Filter;
using Xunit;

namespace Quench.Tests.Snapshots.Store;

/// <summary>The shell over real files: bytes, not decisions.</summary>
public sealed class SnapshotStoreTests : IAsyncDisposable
{
    private const int Block = 4096;
    private const int Blocks = 40;
    private const int Length = (Blocks * Block) - 1024; // the last block is cut short

    private readonly TemporaryDirectory _folder = new();
    private readonly List<Exception> _reported = [];
    private readonly Random _random = TestSeed.NewRandom();
    private readonly ImageFile _origin;
    private SnapshotStore _store;

    public SnapshotStoreTests()
    {
        _origin = ImageFile.CreateNew(_folder["origin"], Length, direct: false);
        _store = new SnapshotStore(_origin, StoreFiles.Create(_folder["table"], _folder["ring"], _folder["blocks"], new StoreGeometry(Length, Block, 10 * Blocks, Guid.NewGuid())), TimeProvider.System, _reported.Add);
    }

    public async ValueTask DisposeAsync()
    {
        _store.Dispose();
        await _origin.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public void Snapshots_show_their_bytes_whatever_the_offsets_and_after_the_store_is_opened_again()
    {
        Random random = TestSeed.NewRandom();
        Dictionary<uint, byte[]> model = [];
        for (uint number = 1; number <= 8; number++)
        {
            for (int write = 0; write < 30; write++)
            {
                WriteSomewhere(random);
            }

            Assert.True(_store.TryAdd(number));
            Assert.True(_store.TryKeep(number));
            model[number] = Read((at, into) => _origin.Read(at, into), 0, Length);
            if (number == 5)
            {
                Assert.True(_store.TryDelete(3));
                model.Remove(3);
                Reopen();
            }
        }

        WriteSomewhere(random);
        foreach ((uint number, byte[] expected) in model)
        {
            for (int read = 0; read < 50; read++)
            {
                (int offset, int length) = Range(random);
                byte[] found = Read((at, into) => Assert.True(_store.TryRead(number, at, into)), offset, length);
                Assert.Equal(expected[offset..(offset + length)], found);
            }
        }
    }

    [Fact]
    public async Task A_save_that_fails_costs_the_snapshot_and_not_the_write()
    {
        Assert.True(_store.TryAdd(1));
        await _origin.DisposeAsync(); // its old bytes can't be read any more

        _store.BeforeWrite(new Extent(0, Block));

        Assert.Equal(DropReason.SaveFailed, Assert.Single(_store.Records()).Reason);
        Assert.Single(_reported); // why, for the log
        Assert.False(_store.TryRead(1, 0, new byte[Block]));
    }

    [Fact]
    public void A_store_that_does_not_fit_its_disk_is_not_made()
    {
        Assert.Throws<LinuxErrorException>(() => StoreFiles.Create(_folder["huge.table"], _folder["huge.ring"], _folder["huge"], new StoreGeometry(Length, 1 << 30, int.MaxValue / 64, Guid.NewGuid())));
        Assert.False(File.Exists(_folder["huge"]));
    }

    [Fact]
    public void What_was_overwritten_is_named_in_runs_with_the_room_it_would_take()
    {
        Assert.True(_store.TryAdd(1));
        Write(2 * Block, 3 * Block);
        Write(10 * Block, Block);
        Assert.True(_store.TryAdd(2));
        Write(3 * Block, Block);
        List<Extent> runs = [];

        long next = _store.Saved(1, 0, 100, runs, out long slots);

        Assert.Equal([new Extent(2 * Block, 3 * Block), new Extent(10 * Block, Block)], runs);
        Assert.Equal(3, slots); // blocks 2, 4 and 10 have no version for snapshot 2 yet
        Assert.Equal(Blocks, next);
    }

    [Fact]
    public void A_data_file_that_hangs_costs_a_write_its_budget_and_the_snapshots_that_need_the_block()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        Reopen(new SpillSettings { BlockSize = Block, RingBytes = 1 << 20, Budget = TimeSpan.FromMilliseconds(100) });
        trouble.Hang();
        Dictionary<uint, byte[]> model = [];
        for (uint number = 1; number <= 6; number++) // 240 blocks, of the 256 that the ring has room for
        {
            TakeAndOverwrite(number, model);
        }

        long since = Stopwatch.GetTimestamp();
        TakeAndOverwrite(7, model);
        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.FromMilliseconds(90), TimeSpan.FromSeconds(5));

        Assert.Equal([(7u, DropReason.TooSlow)], _store.Records().Where(record => record.State == RecordState.Dropped).Select(record => (record.Number, record.Reason)));
        Assert.Contains("had waited 100 ms for the", Assert.Single(_reported).Message, StringComparison.Ordinal);
        model.Remove(7);
        DemandAll(model); // from the ring
        trouble.Let();
        _store.Flush();
        DemandAll(model); // from the data file
    }

    [Fact]
    public async Task A_discard_of_everything_over_a_slow_and_healthy_disk_is_kept_whole()
    {
        const int Length = 64 << 20;
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        await using ImageFile origin = ImageFile.CreateNew(_folder["large"], Length, direct: false);
        byte[] content = _random.NextBytes(Length);
        origin.Write(0, content);
        StoreFiles files = StoreFiles.Create(_folder["large-table"], _folder["large-ring"], _folder["large-blocks"], new StoreGeometry(Length, Block, 2 * Length / Block, Guid.NewGuid()));
        using SnapshotStore store = new(origin, files, TimeProvider.System, _reported.Add, new SpillSettings { BlockSize = Block, RingBytes = 1 << 20, Budget = TimeSpan.FromSeconds(1) });
        Assert.True(store.TryAdd(1));
        Assert.True(store.TryKeep(1));
        trouble.Slow(TimeSpan.FromMilliseconds(10)); // 256 KiB at a time by two threads: 50 MiB/s at most, so all of it waits longer than a write may, and a mebibyte of it hardly
        store.BeforeWrite(new Extent(0, Length));
        origin.Zero(new Extent(0, Length));
        Assert.Empty(_reported);
        Assert.Equal(content, Read((at, into) => Assert.True(store.TryRead(1, at, into)), 0, Length));
    }

    [Theory]
    [InlineData(Errno.EIO)]
    [InlineData(Errno.ENOSPC)]
    public void A_data_file_that_fails_costs_the_snapshots_that_need_the_block_and_no_others(Errno error)
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        Reopen();
        Dictionary<uint, byte[]> model = [];
        TakeAndOverwrite(1, model);
        _store.Flush();
        trouble.Fail(error);
        TakeAndOverwrite(2, model); // these blocks are in the ring: no write fails

        WaitFor(() => _store.Records().Any(record => record.State == RecordState.Dropped));

        Assert.Equal([(2u, DropReason.SaveFailed)], _store.Records().Where(record => record.State == RecordState.Dropped).Select(record => (record.Number, record.Reason)));
        model.Remove(2);
        DemandAll(model);
        Assert.False(_store.TryRead(2, 0, new byte[Block]));
    }

    [Fact]
    public void A_block_that_does_not_reach_the_data_file_in_time_drops_all_though_nobody_waits()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        Reopen(new SpillSettings { BlockSize = Block, RingBytes = 1 << 20, HandlingLimit = TimeSpan.FromMilliseconds(400) });
        trouble.Hang();
        TakeAndOverwrite(1, []);
        Assert.True(_store.TryAdd(2));

        WaitFor(() => _store.Records().All(record => record.State == RecordState.Dropped));

        Assert.All(_store.Records(), record => Assert.Equal(DropReason.TooSlow, record.Reason));
        Assert.Throws<IOException>(_store.Flush);
    }

    [Fact]
    public void What_a_process_left_in_the_ring_the_next_one_has_and_brings_to_the_data_file()
    {
        using SaverTrouble trouble = SaverTrouble.Install(IoCall.Write);
        Reopen();
        trouble.Hang();
        Dictionary<uint, byte[]> model = [];
        TakeAndOverwrite(1, model);
        TakeAndOverwrite(2, model);
        FaultPoint.Set(null); // the next one has no trouble
        Reopen();
        DemandAll(model);
        _store.Flush();
        DemandAll(model);

        trouble.Hang();
        _store.Dispose();
        StoreFiles files = StoreFiles.TryOpen(_folder["table"], _folder["ring"], _folder["blocks"], isResumed: true)!;
        files.Blocks.Drain(slot => files.Table.TryRead(slot, out _, out _));
        files.Blocks.Dispose();
        files.Dispose();
        File.Delete(_folder["ring"]);
        Assert.Null(StoreFiles.TryOpen(_folder["table"], _folder["ring"], _folder["blocks"], isResumed: true)); // it may have held blocks
        _store = Open(isResumed: false);
        DemandAll(model);
    }

    private static void WaitFor(Func<bool> isSo) => Assert.True(SpinWait.SpinUntil(isSo, TimeSpan.FromSeconds(20)));

    /// <summary>Takes a snapshot and overwrites every block.</summary>
    private void TakeAndOverwrite(uint number, Dictionary<uint, byte[]> model)
    {
        Assert.True(_store.TryAdd(number));
        Assert.True(_store.TryKeep(number));
        model[number] = Read((at, into) => _origin.Read(at, into), 0, Length);
        _store.BeforeWrite(new Extent(0, Length));
        _origin.Write(0, _random.NextBytes(Length));
    }

    private void DemandAll(Dictionary<uint, byte[]> model)
    {
        foreach ((uint number, byte[] expected) in model)
        {
            Assert.Equal(expected, Read((at, into) => Assert.True(_store.TryRead(number, at, into)), 0, Length));
        }
    }

    private SnapshotStore Open(bool isResumed, SpillSettings? limits = null) => new(
        _origin, StoreFiles.TryOpen(_folder["table"], _folder["ring"], _folder["blocks"], isResumed)!, TimeProvider.System, _reported.Add, limits);

    private void Reopen(SpillSettings? limits = null)
    {
        _store.Dispose();
        _store = Open(isResumed: true, limits);
    }

    private void WriteSomewhere(Random random)
    {
        (int offset, int length) = Range(random);
        _store.BeforeWrite(new Extent(offset, length));
        _origin.Write(offset, random.NextBytes(length));
    }

    private void Write(int offset, int length)
    {
        _store.BeforeWrite(new Extent(offset, length));
        _origin.Write(offset, new byte[length]);
    }

    /// <summary>Whole sectors of 512 bytes.</summary>
    private static (int Offset, int Length) Range(Random random)
    {
        int offset = random.Next(Length / 512) * 512;
        return (offset, Math.Min(Length - offset, (1 + random.Next(40)) * 512));
    }

    private static byte[] Read(Action<long, byte[]> read, int offset, int length)
    {
        byte[] bytes = new byte[length];
        read(offset, bytes);
        return bytes;
    }
}
