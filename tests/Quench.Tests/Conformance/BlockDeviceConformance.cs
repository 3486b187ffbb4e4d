using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Conformance;

/// <summary>What every device that can be written owes its callers. A new device's test class names the device; the rest is here.</summary>
public abstract class BlockDeviceConformance : IAsyncLifetime
{
    private IBlockDevice _device = null!; // made before each test, disposed after it
    private byte[] _model = [];           // what it must read as; random at first

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Bytes of the device; a multiple of its sector.</summary>
    protected virtual int Length => 1024 * 1024;

    /// <summary>A device of <see cref="Length"/> bytes with any content.</summary>
    protected abstract ValueTask<IBlockDevice> NewDeviceAsync();

    /// <summary>Removes what the device lived on.</summary>
    protected virtual ValueTask CleanUpAsync() => ValueTask.CompletedTask;

    private int Sector => _device.Geometry.SectorSize;

    public async ValueTask InitializeAsync()
    {
        _device = await NewDeviceAsync();
        _model = TestSeed.NewRandom().NextBytes(Length);
        await _device.WriteAsync(0, _model, Token);
    }

    public async ValueTask DisposeAsync()
    {
        if (_device is not null)
        {
            await _device.DisposeAsync();
            await _device.DisposeAsync(); // twice: that is part of the promise
        }

        await CleanUpAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task What_was_written_is_read_back()
    {
        Assert.Equal(Length, _device.Geometry.Length);
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task Both_edges_can_be_written()
    {
        await WriteAsync(0, Fill(Sector, 0x11));
        await WriteAsync(Length - Sector, Fill(Sector, 0x22));
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task Any_sequence_of_operations_leaves_what_a_model_holds()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 200; round++)
        {
            Extent range = AnyRange(random);
            switch (random.Next(4))
            {
                case 0:
                    await ZeroAsync(range);
                    break;
                case 1:
                    await _device.DiscardAsync(range, Token);
                    await WriteAsync(range.Offset, random.NextBytes((int)range.Length));
                    break;
                case 2:
                    await _device.FlushAsync(Token);
                    await ReadsAsTheModelAsync(range);
                    break;
                default:
                    await WriteAsync(range.Offset, random.NextBytes((int)range.Length));
                    break;
            }
        }

        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task A_zeroed_range_reads_as_zeros_and_its_neighbours_stay()
    {
        await ZeroAsync(new Extent(8 * Sector, 40 * (long)Sector));
        await ShowsTheModelAsync();
        await ZeroAsync(_device.Geometry.Whole);
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task A_discarded_range_can_be_written_again()
    {
        Extent range = new(4096, 64 * 1024);
        await _device.DiscardAsync(range, Token);
        await WriteAsync(range.Offset, Fill((int)range.Length, 0x5A));
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task Its_map_covers_the_range_exactly_and_never_lies()
    {
        Random random = TestSeed.NewRandom();
        await ZeroAsync(new Extent(256 * 1024, 512 * 1024));
        await WriteAsync(384 * 1024, Fill(Sector, 7));
        await MapProbe.HoldsAsync(_device, _model, random, Token);
    }

    [Fact]
    public async Task What_leaves_the_device_is_refused_and_changes_nothing()
    {
        byte[] two = new byte[2 * Sector];
        Extent outside = new(Length - Sector, 2L * Sector);
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.ReadAsync(Length - Sector, two, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.WriteAsync(Length - Sector, two, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.WriteAsync(-Sector, two, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.WriteAsync(long.MaxValue & ~4095L, two, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.ZeroAsync(outside, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.DiscardAsync(outside, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.MapAsync(outside, Token));
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task Parts_of_sectors_are_refused_and_change_nothing()
    {
        Assert.SkipWhen(Sector == 1, "any byte can be addressed here");
        byte[] one = new byte[Sector];
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.ReadAsync(1, one, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.WriteAsync(Sector / 2, one, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.WriteAsync(0, one.AsMemory(1), Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _device.ZeroAsync(new Extent(0, Sector - 1), Token));
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task Memory_of_any_alignment_is_accepted()
    {
        byte[] source = new byte[(Sector * 8) + 3];
        TestSeed.NewRandom().NextBytes(source);
        await _device.WriteAsync(Sector, source.AsMemory(3), Token);
        byte[] into = new byte[(Sector * 8) + 5];
        await _device.ReadAsync(Sector, into.AsMemory(5), Token);
        Assert.True(source.AsSpan(3).SequenceEqual(into.AsSpan(5)));
    }

    [Fact]
    public async Task Nothing_can_be_transferred_too()
    {
        await _device.ReadAsync(Length, Memory<byte>.Empty, Token);
        await _device.WriteAsync(Length, ReadOnlyMemory<byte>.Empty, Token);
        await _device.ZeroAsync(default, Token);
        await _device.DiscardAsync(default, Token);
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task Disjoint_writes_at_once_all_land()
    {
        const int Writers = 8;
        Random random = TestSeed.NewRandom();
        byte[] wanted = random.NextBytes(Length);
        int sectors = Length / Sector;

        // Neighbouring sectors belong to different writers: whatever the device's own unit is, they meet in it.
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(async writer =>
        {
            for (int sector = writer; sector < Math.Min(sectors, 256); sector += Writers)
            {
                await _device.WriteAsync((long)sector * Sector, wanted.AsMemory(sector * Sector, Sector), Token);
            }
        }));
        int written = Math.Min(sectors, 256) * Sector;
        wanted.AsSpan(0, written).CopyTo(_model);
        await ShowsTheModelAsync();
    }

    [Fact]
    public async Task A_cancelled_call_says_so_and_the_device_goes_on()
    {
        CancellationToken cancelled = new(canceled: true);
        byte[] one = new byte[Sector];
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _device.ReadAsync(0, one, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _device.WriteAsync(0, one, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _device.ZeroAsync(new Extent(0, Sector), cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _device.DiscardAsync(new Extent(0, Sector), cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _device.FlushAsync(cancelled));
        await ShowsTheModelAsync();
    }

    private async Task WriteAsync(long offset, byte[] bytes)
    {
        await _device.WriteAsync(offset, bytes, Token);
        bytes.CopyTo(_model, offset);
    }

    private async Task ZeroAsync(Extent range)
    {
        await _device.ZeroAsync(range, Token);
        _model.AsSpan((int)range.Offset, (int)range.Length).Clear();
    }

    private Task ShowsTheModelAsync() => ReadsAsTheModelAsync(_device.Geometry.Whole);

    private async Task ReadsAsTheModelAsync(Extent range)
    {
        byte[] read = new byte[range.Length];
        await _device.ReadAsync(range.Offset, read, Token);
        int same = read.AsSpan().CommonPrefixLength(_model.AsSpan((int)range.Offset, (int)range.Length));
        Assert.True(same == read.Length, $"byte {range.Offset + same} differs");
    }

    private Extent AnyRange(Random random)
    {
        int offset = random.Next(Length / Sector);
        int length = 1 + random.Next(Math.Min((Length / Sector) - offset, (64 * 1024 / Sector) + 1));
        return new Extent((long)offset * Sector, (long)length * Sector);
    }

    private static byte[] Fill(int length, byte value)
    {
        byte[] bytes = new byte[length];
        bytes.AsSpan().Fill(value);
        return bytes;
    }
}
