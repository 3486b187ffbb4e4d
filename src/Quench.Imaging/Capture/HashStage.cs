using System.Threading.Channels;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>A chunk that nobody has stored yet, in the segment that it was read into. Whoever takes it lets go of the segment.</summary>
internal readonly record struct FreshChunk(Segment Segment, int Offset, int Length, ChunkId Id)
{
    /// <summary>The chunk's bytes; valid until the segment is let go of.</summary>
    public ReadOnlyMemory<byte> Bytes => Segment.Bytes.Slice(Offset, Length);
}

/// <summary>
/// Names each chunk of a segment: zeros become holes, the others get their id in the image, and those which the vault does not
/// have go on to be sealed. Runs on several lanes over one input.
/// </summary>
internal sealed class HashStage(CapturePlan plan, BackupSession session, ImageWriter image, int lanes)
{
    /// <summary>Works until the input ends, then completes the output.</summary>
    public async Task RunAsync(ChannelReader<Segment> input, ChannelWriter<FreshChunk> output, CancellationToken cancellationToken)
    {
        await TaskGroup.RunLanesAsync(lanes, token => NameAllAsync(input, output, token), cancellationToken);
        output.Complete();
    }

    private async Task NameAllAsync(ChannelReader<Segment> input, ChannelWriter<FreshChunk> output, CancellationToken cancellationToken)
    {
        while (await input.WaitToReadAsync(cancellationToken))
        {
            while (input.TryRead(out Segment? segment))
            {
                plan.ZeroUnused(segment.Extent.Offset, segment.Bytes.Span);
                for (int offset = 0; offset < segment.Extent.Length; offset += plan.ChunkSize)
                {
                    if (TryName(segment, offset, out FreshChunk fresh))
                    {
                        segment.Hold();
                        await output.WriteAsync(fresh, cancellationToken);
                    }
                }

                segment.LetGo();
            }
        }
    }

    /// <summary>Puts a chunk's name into the image.</summary>
    /// <returns>Whether it must be stored.</returns>
    private bool TryName(Segment segment, int offset, out FreshChunk fresh)
    {
        int length = (int)Math.Min(plan.ChunkSize, segment.Extent.Length - offset);
        ReadOnlySpan<byte> bytes = segment.Bytes.Span.Slice(offset, length);
        bool isHole = !bytes.ContainsAnyExcept((byte)0);
        ChunkId id = isHole ? ChunkId.Hole : session.Identify(bytes);
        image.Set((segment.Extent.Offset + offset) / plan.ChunkSize, id);
        fresh = new FreshChunk(segment, offset, length, id);
        return !isHole && session.TryClaim(id);
    }
}
