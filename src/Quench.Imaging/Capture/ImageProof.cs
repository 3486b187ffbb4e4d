using System.Buffers.Binary;
using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Imaging.Activity;

namespace Quench.Imaging.Capture;

/// <summary>
/// Proves that an image is the volume: reads both again, side by side, and compares. The proof's hash is
///
///     SHA-256 over, for each chunk that is not all zeros, in order:  index, 8 bytes little-endian ‖ SHA-256 of the chunk's bytes
///
/// so that the chunks can be hashed on all cores, and a hole costs nothing whether or not the chunk was in use.
/// </summary>
internal sealed class ImageProof(IBlockReader snapshot, IBlockReader image, CapturePlan plan, ActivityMonitor activity)
{
    private const int EntrySize = sizeof(long) + SHA256.HashSizeInBytes;
    private const int Lanes = 8;
    private const long MapWindow = 1L << 30;

    private readonly int _segmentBytes = Math.Max(1 << 20, plan.ChunkSize);

    /// <summary>Reads and compares everything.</summary>
    /// <returns>The proof's hash.</returns>
    /// <exception cref="QuenchException">IMG-122, exit code 22: the two differ; the message says where first.</exception>
    public async Task<byte[]> RunAsync(CancellationToken cancellationToken)
    {
        activity.Begin(JobPhase.Proving, plan.ReadBytes);
        await RefuseDataInHolesAsync(cancellationToken);
        using IncrementalHash whole = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using AlignedBufferPool buffers = new(_segmentBytes, Lanes * 2);
        byte[][] entries = [.. Enumerable.Range(0, Lanes).Select(_ => new byte[_segmentBytes / plan.ChunkSize * EntrySize])];
        int[] lengths = new int[Lanes];
        ParallelOptions options = new() { MaxDegreeOfParallelism = Lanes, CancellationToken = cancellationToken };
        foreach (Extent[] window in Segments().Chunk(Lanes))
        {
            await Parallel.ForAsync(0, window.Length, options, async (lane, token) =>
                lengths[lane] = await CompareAsync(window[lane], entries[lane], buffers, token));
            for (int lane = 0; lane < window.Length; lane++)
            {
                whole.AppendData(entries[lane], 0, lengths[lane]);
            }
        }

        return whole.GetHashAndReset();
    }

    private IEnumerable<Extent> Segments()
    {
        CaptureOrder order = new(plan, _segmentBytes);
        while (order.TryTake(out Extent segment))
        {
            yield return segment;
        }
    }

    /// <summary>Compares a run of chunks and writes the hash's entries for those that hold anything but zeros.</summary>
    /// <returns>Bytes of the entries.</returns>
    private async ValueTask<int> CompareAsync(Extent extent, byte[] entries, AlignedBufferPool buffers, CancellationToken cancellationToken)
    {
        using BufferLease before = buffers.Rent();
        using BufferLease after = buffers.Rent();
        Memory<byte> instant = before.Memory[..(int)extent.Length];
        Memory<byte> stored = after.Memory[..(int)extent.Length];
        await snapshot.ReadAsync(extent.Offset, instant, cancellationToken);
        plan.ZeroUnused(extent.Offset, instant.Span);
        await image.ReadAsync(extent.Offset, stored, cancellationToken);
        int written = 0;
        for (int offset = 0; offset < instant.Length; offset += plan.ChunkSize)
        {
            int length = Math.Min(plan.ChunkSize, instant.Length - offset);
            written += Compare(extent.Offset + offset, instant.Span.Slice(offset, length), stored.Span.Slice(offset, length), entries.AsSpan(written));
        }

        activity.Add(extent.Length);
        return written;
    }

    /// <summary>Compares one chunk by its hash, which is written into the entry.</summary>
    /// <returns>Bytes of the entry: none for zeros.</returns>
    private int Compare(long offset, ReadOnlySpan<byte> instant, ReadOnlySpan<byte> stored, Span<byte> entry)
    {
        Span<byte> storedHash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(stored, storedHash);
        BinaryPrimitives.WriteInt64LittleEndian(entry, offset / plan.ChunkSize);
        SHA256.HashData(instant, entry[sizeof(long)..]);
        if (!storedHash.SequenceEqual(entry[sizeof(long)..EntrySize]))
        {
            throw Mismatch(offset + instant.CommonPrefixLength(stored));
        }

        return instant.ContainsAnyExcept((byte)0) ? EntrySize : 0;
    }

    /// <summary>What is not planned must be a hole in the image.</summary>
    private async Task RefuseDataInHolesAsync(CancellationToken cancellationToken)
    {
        for (long from = 0; from < plan.Length; from += MapWindow)
        {
            Extent window = Extent.FromTo(from, Math.Min(plan.Length, from + MapWindow));
            foreach (MappedExtent part in await image.MapAsync(window, cancellationToken))
            {
                if (part.Kind == ExtentKind.Data && FirstUnplanned(part.Extent) is { } offset)
                {
                    throw Mismatch(offset);
                }
            }
        }
    }

    private long? FirstUnplanned(Extent extent)
    {
        long clear = plan.Chunks.NextClear(extent.Offset / plan.ChunkSize);
        return clear >= 0 && clear * plan.ChunkSize < extent.End ? clear * plan.ChunkSize : null;
    }

    private static QuenchException Mismatch(long offset) =>
        new(
            "IMG-122",
            $"the proof failed: at offset 0x{offset:x} the vault gives back other bytes than the snapshot holds",
            "run the backup again; if it fails again, test this machine's memory and disks before trusting either")
        {
            Effect = "the backup was given up and left no recovery point; the volume itself is unaffected",
            ExitCode = 22,
        };
}
