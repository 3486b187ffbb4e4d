using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Blocks.Devices;

namespace Quench.Snapshots.Store;

/// <summary>Copies a snapshot in full. The volume goes on meanwhile; the copy needs neither it nor the store afterwards.</summary>
public static class SnapshotClone
{
    private const int StepBytes = 1 << 20;

    /// <summary>Copies what is in use, and makes sure that the rest of the target reads as zeros.</summary>
    /// <param name="snapshot">Open; lent.</param>
    /// <param name="used">What matters of it.</param>
    /// <param name="target">At least as long; lent. What lies behind the volume's length is left alone.</param>
    /// <param name="isBlank">The target reads as zeros already.</param>
    /// <param name="copied">Told of each piece of <paramref name="used"/> that is done, in bytes.</param>
    /// <param name="cancellationToken">Breaks off; the target is half written then.</param>
    /// <returns>Bytes that were written. All is durable.</returns>
    /// <exception cref="QuenchException">SNAP-172: the target is too small; nothing was written.</exception>
    public static async Task<long> CopyAsync(
        OpenSnapshot snapshot, UsedBlocks used, Disk target, bool isBlank, Action<long> copied, CancellationToken cancellationToken)
    {
        long length = snapshot.Reader.Geometry.Length;
        if (target.Geometry.Length < length)
        {
            throw StoreErrors.TargetTooSmall(target.Path, target.Geometry.Length, length);
        }

        using AlignedBufferPool pool = new(StepBytes, maxRetained: 1);
        using BufferLease buffer = pool.Rent();
        long written = 0;
        long position = 0;
        foreach (Extent run in used.Runs())
        {
            await ZeroAsync(target, position, run.Offset, isBlank, cancellationToken);
            for (position = run.Offset; position < run.End; position += StepBytes)
            {
                Memory<byte> part = buffer.Memory[..(int)Math.Min(StepBytes, run.End - position)];
                await snapshot.Reader.ReadAsync(position, part, cancellationToken);
                bool isZero = part.Span.IndexOfAnyExcept((byte)0) < 0;
                if (!isZero)
                {
                    await target.WriteAsync(position, part, cancellationToken);
                    written += part.Length;
                }
                else
                {
                    await ZeroAsync(target, position, position + part.Length, isBlank, cancellationToken);
                }

                copied(part.Length);
            }

            position = run.End;
        }

        await ZeroAsync(target, position, length, isBlank, cancellationToken);
        await target.FlushAsync(cancellationToken);
        return written;
    }

    private static async ValueTask ZeroAsync(Disk target, long from, long to, bool isBlank, CancellationToken cancellationToken)
    {
        if (to > from && !isBlank)
        {
            await target.ZeroAsync(Extent.FromTo(from, to), cancellationToken);
        }
    }
}
