using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Store;

/// <summary>A persistent snapshot as a file that can only be read. When the snapshot goes, so do its bytes: readers get errors, never others.</summary>
internal sealed class StoredSnapshotFile(SnapshotStore store, uint number, int sectorSize) : IFuseFile
{
    // for readers that do not ask in whole sectors
    private static readonly AlignedBufferPool s_bounce = new(FuseSession.MaxTransfer + (2 * 4096), maxRetained: 2);

    /// <inheritdoc/>
    public long Length => store.Geometry.VolumeLength;

    /// <inheritdoc/>
    public bool IsWritable => false;

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> into)
    {
        Extent asked = new(offset, into.Length);
        Extent aligned = asked.AlignOut(sectorSize);
        if (aligned == asked || aligned.End > Length)
        {
            ReadSectors(offset, into);
            return;
        }

        using BufferLease bounce = s_bounce.Rent();
        Span<byte> whole = bounce.Span[..(int)aligned.Length];
        ReadSectors(aligned.Offset, whole);
        whole.Slice((int)(offset - aligned.Offset), into.Length).CopyTo(into);
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source) => throw ReadOnly();

    /// <inheritdoc/>
    public void Flush()
    {
    }

    /// <inheritdoc/>
    public void PunchHole(Extent range) => throw ReadOnly();

    /// <inheritdoc/>
    public void ZeroRange(Extent range) => throw ReadOnly();

    private void ReadSectors(long offset, Span<byte> into)
    {
        if (!store.TryRead(number, offset, into))
        {
            throw new LinuxErrorException(Errno.EIO, $"read {into.Length} bytes at {offset} of snapshot {number}, which is gone", null);
        }
    }

    private static LinuxErrorException ReadOnly() => new(Errno.EROFS, "write to a snapshot", null);
}
