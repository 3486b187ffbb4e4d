using System.Threading.Channels;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Imaging.Activity;

namespace Quench.Imaging.Recovery;

/// <summary>
/// Moves an image onto a device: a feeder walks the image's map, lanes read pieces of it and write them in one large write each.
/// Where the image reads as zeros the target is zeroed by its own means; on a blank target there is nothing to do there.
/// </summary>
/// <param name="image">What to write; its length is the volume's.</param>
/// <param name="target">Where to; at least as long.</param>
/// <param name="isBlank">Whether all of the target reads as zeros already.</param>
/// <param name="onlyDifferent">Read the target first and write only what differs.</param>
/// <param name="activity">Told how far it is.</param>
internal sealed class RestoreRun(IBlockReader image, IBlockDevice target, bool isBlank, bool onlyDifferent, ActivityMonitor activity)
{
    private const int PieceBytes = 1 << 20;
    private const int CompareBytes = 64 * 1024;
    private const long MapWindow = 256L << 20;

    private readonly int _lanes = Math.Max(4, Environment.ProcessorCount * 2);
    private long _written;
    private long _zeroed;
    private long _equal;

    private long Length => image.Geometry.Length;

    /// <summary>Writes everything and flushes.</summary>
    public async Task<RestoreResult> WriteAsync(CancellationToken cancellationToken)
    {
        activity.Begin(JobPhase.Restoring, Length);
        await ForEachPieceAsync(cutZeros: onlyDifferent, onlyDifferent ? WriteDifferentAsync : WritePieceAsync, cancellationToken);
        await target.FlushAsync(cancellationToken);
        return new RestoreResult(_written, _zeroed, _equal);
    }

    /// <summary>Reads the target back and compares all of it with the image.</summary>
    public async Task ReadBackAsync(CancellationToken cancellationToken)
    {
        activity.Begin(JobPhase.Verifying, Length);
        await ForEachPieceAsync(cutZeros: true, ComparePieceAsync, cancellationToken);
    }

    private delegate ValueTask PieceHandler(MappedExtent piece, Memory<byte> source, Memory<byte> present, CancellationToken cancellationToken);

    private async Task ForEachPieceAsync(bool cutZeros, PieceHandler handle, CancellationToken cancellationToken)
    {
        Channel<MappedExtent> pieces = Channel.CreateBounded<MappedExtent>(_lanes);
        using AlignedBufferPool buffers = new(PieceBytes, _lanes * 2);
        async Task WorkAsync(CancellationToken token)
        {
            using BufferLease source = buffers.Rent();
            using BufferLease present = buffers.Rent();
            await foreach (MappedExtent piece in pieces.Reader.ReadAllAsync(token))
            {
                await handle(piece, source.Memory, present.Memory, token);
                activity.Add(piece.Extent.Length);
            }
        }

        await TaskGroup.RunAsync(
            Enumerable.Repeat<Func<CancellationToken, Task>>(WorkAsync, _lanes).Append(token => FeedAsync(pieces.Writer, cutZeros, token)),
            cancellationToken);
    }

    private async Task FeedAsync(ChannelWriter<MappedExtent> pieces, bool cutZeros, CancellationToken cancellationToken)
    {
        for (long from = 0; from < Length; from += MapWindow)
        {
            Extent window = Extent.FromTo(from, Math.Min(Length, from + MapWindow));
            foreach (MappedExtent part in await image.MapAsync(window, cancellationToken))
            {
                long step = part.Kind == ExtentKind.Data || cutZeros ? PieceBytes : MapWindow;
                for (long start = part.Extent.Offset; start < part.Extent.End; start = NextCut(start, step))
                {
                    Extent piece = Extent.FromTo(start, Math.Min(part.Extent.End, NextCut(start, step)));
                    await pieces.WriteAsync(new MappedExtent(piece, part.Kind), cancellationToken);
                }
            }
        }

        pieces.Complete();
    }

    /// <summary>Pieces end on a grid, so that writes are aligned to the medium's large units.</summary>
    private static long NextCut(long position, long step) => (position / step * step) + step;

    private async ValueTask WritePieceAsync(MappedExtent piece, Memory<byte> source, Memory<byte> present, CancellationToken cancellationToken)
    {
        if (piece.Kind == ExtentKind.Zero)
        {
            await ZeroAsync(piece.Extent, cancellationToken);
            return;
        }

        Memory<byte> padded = await ReadPaddedAsync(piece, source, cancellationToken);
        await target.WriteAsync(piece.Extent.Offset, padded, cancellationToken);
        Interlocked.Add(ref _written, piece.Extent.Length);
    }

    private async ValueTask WriteDifferentAsync(MappedExtent piece, Memory<byte> source, Memory<byte> present, CancellationToken cancellationToken)
    {
        Memory<byte> wanted = await ReadPaddedAsync(piece, source, cancellationToken);
        Memory<byte> there = present[..wanted.Length];
        await target.ReadAsync(piece.Extent.Offset, there, cancellationToken);
        for (int start = 0; start < wanted.Length;)
        {
            int end = NextChange(wanted.Span, there.Span, start, out bool differs);
            if (differs)
            {
                await target.WriteAsync(piece.Extent.Offset + start, wanted[start..end], cancellationToken);
            }

            Interlocked.Add(ref differs ? ref _written : ref _equal, end - start);
            start = end;
        }
    }

    /// <summary>The end of the run, in steps of the comparison's unit, that begins at a place and is all equal or all different.</summary>
    private static int NextChange(ReadOnlySpan<byte> wanted, ReadOnlySpan<byte> there, int start, out bool differs)
    {
        differs = Differs(wanted, there, start);
        int end = Math.Min(start + CompareBytes, wanted.Length);
        while (end < wanted.Length && Differs(wanted, there, end) == differs)
        {
            end = Math.Min(end + CompareBytes, wanted.Length);
        }

        return end;
    }

    private static bool Differs(ReadOnlySpan<byte> wanted, ReadOnlySpan<byte> there, int start)
    {
        int length = Math.Min(CompareBytes, wanted.Length - start);
        return !wanted.Slice(start, length).SequenceEqual(there.Slice(start, length));
    }

    private async ValueTask ComparePieceAsync(MappedExtent piece, Memory<byte> source, Memory<byte> present, CancellationToken cancellationToken)
    {
        Memory<byte> wanted = await ReadPaddedAsync(piece, source, cancellationToken);
        Memory<byte> there = present[..wanted.Length];
        await target.ReadAsync(piece.Extent.Offset, there, cancellationToken);
        int equal = there.Span[..(int)piece.Extent.Length].CommonPrefixLength(wanted.Span[..(int)piece.Extent.Length]);
        if (equal < piece.Extent.Length)
        {
            throw new QuenchException(
                "RST-122",
                $"what was read back differs from the image at offset 0x{piece.Extent.Offset + equal:x}",
                "the target can't be trusted: test it, and restore to another one")
            {
                Effect = "the image in the vault is unaffected",
                ExitCode = 22,
            };
        }
    }

    private async ValueTask ZeroAsync(Extent extent, CancellationToken cancellationToken)
    {
        if (!isBlank)
        {
            await target.ZeroAsync(Pad(extent), cancellationToken);
            Interlocked.Add(ref _zeroed, extent.Length);
        }
    }

    /// <summary>Reads a piece of the image; beyond the volume's end zeros fill the target's last sector.</summary>
    private async ValueTask<Memory<byte>> ReadPaddedAsync(MappedExtent piece, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        Memory<byte> padded = buffer[..(int)Pad(piece.Extent).Length];
        Memory<byte> own = padded[..(int)piece.Extent.Length];
        padded[own.Length..].Span.Clear();
        if (piece.Kind == ExtentKind.Zero)
        {
            own.Span.Clear();
        }
        else
        {
            await image.ReadAsync(piece.Extent.Offset, own, cancellationToken);
        }

        return padded;
    }

    private Extent Pad(Extent extent)
    {
        long end = Math.Min(extent.AlignOut(target.Geometry.SectorSize).End, target.Geometry.Length);
        return Extent.FromTo(extent.Offset, Math.Max(end, extent.End));
    }
}
