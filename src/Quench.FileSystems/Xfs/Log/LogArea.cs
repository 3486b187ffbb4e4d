using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Xfs.Log;

/// <summary>The log as a ring of basic blocks of 512 bytes. The first word of each is the number of the round in which it was written.</summary>
internal sealed class LogArea(Layout layout, IBlockReader volume)
{
    private readonly long _start = layout.LogBlock * layout.BlockSize;

    public long Count { get; } = layout.LogBlocks * layout.BlockSize / Layout.BasicBlock;

    /// <summary>Reads basic blocks from one on, going on at the start of the log after its end. At most as many as there are.</summary>
    public async ValueTask ReadAsync(long first, Memory<byte> into, CancellationToken cancellationToken)
    {
        long index = (first + Count) % Count;
        int before = (int)Math.Min(into.Length, (Count - index) * Layout.BasicBlock);
        await VolumeBytes.ReadAsync(volume, _start + (index * Layout.BasicBlock), into[..before], cancellationToken);
        if (before < into.Length)
        {
            await VolumeBytes.ReadAsync(volume, _start, into[before..], cancellationToken);
        }
    }

    /// <summary>The round in which a basic block was written: of a record's header it is the word after the magic.</summary>
    public static uint Cycle(ReadOnlySpan<byte> basicBlock)
    {
        uint word = ReadUInt32BigEndian(basicBlock);
        return word == LogRecord.ExpectedMagic ? ReadUInt32BigEndian(basicBlock[4..]) : word;
    }

    /// <summary>The round of the basic block at an index.</summary>
    public async ValueTask<uint> CycleAsync(long index, byte[] scratch, CancellationToken cancellationToken)
    {
        await ReadAsync(index, scratch.AsMemory(0, Layout.BasicBlock), cancellationToken);
        return Cycle(scratch);
    }
}
