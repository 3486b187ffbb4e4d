using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Exports.Fuse;
using Quench.Exports.Nbd;

namespace Quench.Exports.Mounting;

/// <summary>A block device as a file of a FUSE session. Lends its own memory to the device, because the session's may not outlive a call.</summary>
/// <param name="device">Any byte of it can be addressed; lent.</param>
internal sealed class BlockDeviceFile(IBlockDevice device) : IFuseFile
{
    [ThreadStatic]
    private static AwaitedCall? t_call; // the session's threads are nobody else's

    private static readonly AlignedBufferPool s_buffers = new(FuseSession.MaxTransfer, maxRetained: 8);

    /// <inheritdoc/>
    public long Length => device.Geometry.Length;

    /// <inheritdoc/>
    public bool IsWritable => true;

    private static AwaitedCall Call => t_call ??= new AwaitedCall();

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> into)
    {
        using BufferLease buffer = s_buffers.Rent();
        Memory<byte> bytes = buffer.Memory[..into.Length];
        Call.Wait(device.ReadAsync(offset, bytes, CancellationToken.None));
        bytes.Span.CopyTo(into);
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        using BufferLease buffer = s_buffers.Rent();
        Memory<byte> bytes = buffer.Memory[..source.Length];
        source.CopyTo(bytes.Span);
        Call.Wait(device.WriteAsync(offset, bytes, CancellationToken.None));
    }

    /// <inheritdoc/>
    public void Flush() => Call.Wait(device.FlushAsync(CancellationToken.None));

    /// <inheritdoc/>
    public void PunchHole(Extent range) => ZeroRange(range);

    /// <inheritdoc/>
    public void ZeroRange(Extent range) => Call.Wait(device.ZeroAsync(range, CancellationToken.None));
}
