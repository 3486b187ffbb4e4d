using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;
using Xunit;

namespace Quench.Tests.Snapshots.Store;

/// <summary>The ring with threads at it: as few cells as possible, so that they turn below whoever reads.</summary>
public sealed class SaveRingTests : IAsyncDisposable
{
    private const int Block = 64 * 1024; // large: a copy takes long enough for its cell to be given away meanwhile
    private const int Cells = 2;
    private const int Slots = 64;
    private const int Readers = 2;
    private const int Reads = 60_000; // by each reader, at least

    private readonly TemporaryDirectory _folder = new();
    private readonly ImageFile _origin;
    private readonly SaveRing _ring;

    public SaveRingTests()
    {
        _origin = ImageFile.CreateNew(_folder["origin"], Slots * Block, direct: false);
        for (int slot = 0; slot < Slots; slot++)
        {
            _origin.Write((long)slot * Block, ContentOf(slot));
        }

        int length = RingMemory.BytesFor(Cells, Block);
        SafeFileHandle data = NativeFile.Open(_folder["data"], OpenMode.ReadWrite | OpenMode.Create);
        using SafeFileHandle ring = NativeFile.Open(_folder["ring"], OpenMode.ReadWrite | OpenMode.Create);
        NativeFile.SetLength(ring, length);
        MappedFile mapping = new(ring, length, locked: false);
        StoreBlocks blocks = new(data, mapping, RingMemory.Format(mapping.Memory, Cells, Block, Guid.NewGuid()), Block);
        SpillSettings limits = new() { BlockSize = Block, RingBytes = Cells * Block, Budget = TimeSpan.FromSeconds(20) };
        _ring = new SaveRing(blocks, static _ => false, limits, static (_, _) => false, static () => { });
    }

    public async ValueTask DisposeAsync()
    {
        _ring.Dispose();
        await _origin.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Readers_get_a_slots_content_while_cells_are_given_to_others_below_them()
    {
        Save();
        using CancellationTokenSource stop = new();
        long[] reads = new long[Readers];
        Task[] readers = [.. Enumerable.Range(0, Readers).Select(reader => Task.Run(() => ReadOn(new Random(TestSeed.Value + reader), ref reads[reader], stop.Token)))];

        while (Enumerable.Range(0, Readers).Any(reader => Volatile.Read(ref reads[reader]) < Reads && !readers[reader].IsFaulted))
        {
            Save();
        }

        await stop.CancelAsync();
        await Task.WhenAll(readers);
    }

    /// <summary>Saves each block into the slot of its number, one by one.</summary>
    private void Save()
    {
        TimeSpan waited = TimeSpan.Zero;
        for (int slot = 0; slot < Slots; slot++)
        {
            Assert.True(_ring.TrySave(_origin, new Extent((long)slot * Block, Block), [slot], ref waited));
        }
    }

    private void ReadOn(Random random, ref long reads, CancellationToken stop)
    {
        using NativeBuffer room = new(2 * Block);
        nint address = Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref MemoryMarshal.GetReference(room.GetSpan()));
        Memory<byte> block = room.Memory.Slice((int)((Block - (address % Block)) % Block), Block); // the ring reads into memory that is aligned to blocks
        while (!stop.IsCancellationRequested)
        {
            int slot = random.Next(Slots);
            Assert.True(_ring.TryRead(slot, block.Span, out int count));
            Assert.Equal(1, count);
            Assert.True(block.Span.IndexOfAnyExcept((byte)(slot + 1)) < 0, $"read {reads}: slot {slot} shows other bytes");
            Volatile.Write(ref reads, reads + 1);
        }
    }

    private static byte[] ContentOf(int slot)
    {
        byte[] content = new byte[Block];
        Array.Fill(content, (byte)(slot + 1));
        return content;
    }
}
