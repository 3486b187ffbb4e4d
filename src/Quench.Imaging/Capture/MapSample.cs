using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Puts a change map to the test: a random sample of the chunks that it calls unchanged is read and compared, by id, with the base. A map that is
/// wrong about a share f of them passes n samples with a probability of at most (1 − f)^n.
/// </summary>
internal sealed class MapSample(ISnapshot snapshot, CapturePlan plan, BackupSession session, BaseImage upon)
{
    /// <summary>The least that is read, or everything where there is less: it keeps a small volume's sample from meaning nothing.</summary>
    public const int Least = 64;

    /// <summary>The most that is read, so that a run costs what changed however large the volume is.</summary>
    public const int Most = 1024;

    private const long MostBytes = 64 << 20;
    private const int Lanes = 4;

    /// <summary>Chooses the chunks: a hundredth of them, within the bounds, each as likely as any other.</summary>
    /// <param name="unchanged">The chunks to choose from.</param>
    /// <param name="chunkSize">Bytes of a chunk.</param>
    /// <param name="chance">A new one for each run.</param>
    /// <returns>The chunks, rising.</returns>
    public static IReadOnlyList<long> Choose(BlockBitmap unchanged, int chunkSize, Random chance)
    {
        long count = unchanged.CountSet();
        long most = Math.Clamp(MostBytes / chunkSize, Least, Most);
        long wanted = Math.Min(count, Math.Clamp((count + 99) / 100, Least, most));
        SortedSet<long> ranks = [];
        while (ranks.Count < wanted)
        {
            ranks.Add(chance.NextInt64(count)); // at most 1024 of a hundred times as many, or 64 of 64: few misses
        }

        return Place(ranks, unchanged);
    }

    /// <summary>Reads and compares.</summary>
    /// <param name="chunks">What was chosen.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The first chunk in which the volume differs from the base; null when none does.</returns>
    /// <exception cref="QuenchException">The snapshot broke or can't be read, or a page of the base can't be.</exception>
    public async Task<long?> FindDifferenceAsync(IReadOnlyList<long> chunks, CancellationToken cancellationToken)
    {
        long found = long.MaxValue;
        using AlignedBufferPool buffers = new(plan.ChunkSize, Lanes);
        ParallelOptions options = new() { MaxDegreeOfParallelism = Lanes, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(chunks, options, async (chunk, token) =>
        {
            if (await DiffersAsync(chunk, buffers, token))
            {
                InterlockedMin(ref found, chunk);
            }
        });
        return found == long.MaxValue ? null : found;
    }

    private static List<long> Place(SortedSet<long> ranks, BlockBitmap among)
    {
        List<long> chunks = new(ranks.Count);
        long before = 0; // set bits before the run
        using IEnumerator<(long First, long Count)> runs = among.SetRuns().GetEnumerator();
        bool more = runs.MoveNext();
        foreach (long rank in ranks)
        {
            while (more && rank >= before + runs.Current.Count)
            {
                before += runs.Current.Count;
                more = runs.MoveNext();
            }

            chunks.Add(runs.Current.First + (rank - before));
        }

        return chunks;
    }

    private static void InterlockedMin(ref long place, long value)
    {
        for (long seen = Volatile.Read(ref place); value < seen;)
        {
            long present = Interlocked.CompareExchange(ref place, value, seen);
            if (present == seen)
            {
                return;
            }

            seen = present;
        }
    }

    private async ValueTask<bool> DiffersAsync(long chunk, AlignedBufferPool buffers, CancellationToken cancellationToken)
    {
        ChunkId then = await upon.FindAsync(chunk, cancellationToken);
        Extent extent = plan.ExtentOf(chunk, 1);
        using BufferLease buffer = buffers.Rent();
        Memory<byte> bytes = buffer.Memory[..(int)extent.Length];
        try
        {
            await snapshot.Reader.ReadAsync(extent.Offset, bytes, cancellationToken);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            await SnapshotTrouble.ThrowAsync(snapshot, extent, failure, cancellationToken);
        }

        plan.ZeroUnused(extent.Offset, bytes.Span);
        bool isHole = !bytes.Span.ContainsAnyExcept((byte)0);
        return then != (isHole ? ChunkId.Hole : session.Identify(bytes.Span));
    }
}
