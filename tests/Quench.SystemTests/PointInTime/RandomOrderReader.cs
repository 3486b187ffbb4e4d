using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots;
using Xunit;

namespace Quench.SystemTests.PointInTime;

/// <summary>Images a snapshot as no sane requestor would: its chunks in random order, each released as soon as it has been read.</summary>
internal static class RandomOrderReader
{
    private const int Pauses = 16;

    /// <summary>Takes the snapshot and writes its image.</summary>
    internal static async Task<(long IssuedAtInstant, string Words)> CaptureAsync(Round round)
    {
        await using ISnapshot snapshot = await round.Volume.SnapshotAsync(round.Plan.ToOptions(round.Volume.Scratch));
        long issued = round.Writer.Issued;
        Assert.Equal(round.Plan.Freeze ? SnapshotGrade.FileSystem : SnapshotGrade.Crash, snapshot.Grade);
        await CopyAsync(snapshot, round);
        DiffAreaStatus status = await snapshot.GetStatusAsync(CancellationToken.None);
        Assert.Null(status.BrokenReason);
        Assert.True(status.PeakBytes > 0, "no old block was ever saved: the round has shown nothing");
        return (issued, string.Create(CultureInfo.InvariantCulture, $"freeze {snapshot.FreezeTime?.TotalMilliseconds:0.0} ms, diff area peak {ByteSize.Format(status.PeakBytes)}"));
    }

    private static async Task CopyAsync(ISnapshot snapshot, Round round)
    {
        Extent[] chunks = Chunks(snapshot.Reader.Geometry.Length, round.Plan.ChunkSize);
        new Random(round.Plan.Seed).Shuffle(chunks);
        using NativeBuffer buffer = new(round.Plan.ChunkSize);
        using SafeFileHandle image = NativeFile.Open(round.Image, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        NativeFile.SetLength(image, snapshot.Reader.Geometry.Length);
        int pauseEvery = Math.Max(1, chunks.Length / Pauses);
        for (int index = 0; index < chunks.Length; index++)
        {
            if (index % pauseEvery == 0)
            {
                await round.Writer.MoreAsync(Math.Max(1, round.Plan.StampsDuring / Pauses)); // the writer gets ahead of the reader
            }

            Memory<byte> part = buffer.Memory[..(int)chunks[index].Length];
            await snapshot.Reader.ReadAsync(chunks[index].Offset, part, CancellationToken.None);
            WriteUnlessZero(image, part.Span, chunks[index].Offset);
            await snapshot.ReleaseAsync(chunks[index], CancellationToken.None);
        }
    }

    private static void WriteUnlessZero(SafeFileHandle image, ReadOnlySpan<byte> part, long offset)
    {
        if (part.IndexOfAnyExcept((byte)0) >= 0)
        {
            NativeFile.Write(image, part, offset);
        }
    }

    private static Extent[] Chunks(long length, int size)
    {
        List<Extent> chunks = [];
        for (long at = 0; at < length; at += size)
        {
            chunks.Add(new Extent(at, Math.Min(size, length - at)));
        }

        return [.. chunks];
    }
}
