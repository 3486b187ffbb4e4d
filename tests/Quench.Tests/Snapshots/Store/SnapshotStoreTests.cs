using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Snapshots.Store;
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
    private readonly ImageFile _origin;
    private SnapshotStore _store;

    public SnapshotStoreTests()
    {
        _origin = ImageFile.CreateNew(_folder["origin"], Length, direct: false);
        _store = new SnapshotStore(_origin, StoreFiles.Create(_folder["table"], _folder["blocks"], new StoreGeometry(Length, Block, 10 * Blocks, Guid.NewGuid())), TimeProvider.System, _reported.Add);
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
        Assert.Throws<LinuxErrorException>(() => StoreFiles.Create(_folder["huge.table"], _folder["huge"], new StoreGeometry(Length, 1 << 30, int.MaxValue / 64, Guid.NewGuid())));
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

    private void Reopen()
    {
        _store.Dispose();
        _store = new SnapshotStore(_origin, StoreFiles.TryOpen(_folder["table"], _folder["blocks"])!, TimeProvider.System, _reported.Add);
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
