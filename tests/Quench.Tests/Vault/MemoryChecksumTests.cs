using Quench.Blocks.Buffers;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Packs;
using Xunit;

namespace Quench.Tests.Vault;

public sealed class MemoryChecksumTests
{
    [Fact]
    public void Every_flipped_bit_changes_it_whatever_the_length()
    {
        for (int length = 1; length <= 130; length++)
        {
            byte[] bytes = [.. Enumerable.Range(0, length).Select(value => (byte)(value * 31 & 0xFF))];
            uint sound = MemoryChecksum.Of(bytes);
            for (int bit = 0; bit < length * 8; bit++)
            {
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.NotEqual(sound, MemoryChecksum.Of(bytes));
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        }
    }

    [Fact]
    public void Quarters_that_change_places_change_it()
    {
        byte[] bytes = new byte[4 * 64];
        for (int quarter = 0; quarter < 4; quarter++)
        {
            bytes.AsSpan(quarter * 64, 64).Fill((byte)(quarter + 1));
        }

        uint sound = MemoryChecksum.Of(bytes);
        for (int one = 0; one < 4; one++)
        {
            for (int other = one + 1; other < 4; other++)
            {
                byte[] swapped = [.. bytes];
                bytes.AsSpan(one * 64, 64).CopyTo(swapped.AsSpan(other * 64));
                bytes.AsSpan(other * 64, 64).CopyTo(swapped.AsSpan(one * 64));
                Assert.NotEqual(sound, MemoryChecksum.Of(swapped));
            }
        }
    }

    [Fact]
    public void A_bit_that_falls_over_in_a_pack_in_memory_is_found_before_the_pack_is_stored()
    {
        using AlignedBufferPool pool = new(1 << 20, maxRetained: 1);
        BufferLease memory = pool.Rent();
        using PackBuilder pack = new(memory, 1 << 20);
        byte[] first = [.. Enumerable.Range(0, 1001).Select(value => (byte)(value & 0xFF))];
        byte[] second = [.. Enumerable.Range(0, 999).Select(value => (byte)(value * 7 & 0xFF))];
        Assert.True(pack.TryAdd(Id(1), first, new ChunkMeta(ChunkMeta.DataType, first.Length, false), MemoryChecksum.Of(first)));
        Assert.True(pack.TryAdd(Id(2), second, new ChunkMeta(ChunkMeta.DataType, second.Length, false), MemoryChecksum.Of(second)));
        Assert.Null(pack.FindChanged());
        PackEntry entry = pack.Entries[1];
        for (int bit = 0; bit < entry.SealedLength * 8; bit++)
        {
            memory.Span[entry.Offset + (bit / 8)] ^= (byte)(1 << (bit % 8));
            Assert.Equal(Id(2), pack.FindChanged());
            memory.Span[entry.Offset + (bit / 8)] ^= (byte)(1 << (bit % 8));
        }
    }

    private static ChunkId Id(byte value)
    {
        byte[] bytes = new byte[ChunkId.Size];
        bytes[0] = value;
        return ChunkId.From(bytes);
    }
}
