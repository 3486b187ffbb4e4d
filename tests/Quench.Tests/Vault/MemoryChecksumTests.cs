using Quench.Blocks.Buffers;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Packs;
using Xunit;

namespace Quench.Tests.Vault;

public sealed class MemoryChecksumTests
{
    [Fact]
    public void It_is_the_published_crc_32c()
    {
        Assert.Equal(0xE3069283u, MemoryChecksum.Of("123456789"u8)); // the check value of CRC-32C
        Assert.Equal(0x8A9136AAu, MemoryChecksum.Of(new byte[32]));  // RFC 3720, B.4: 32 bytes of zeros
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
