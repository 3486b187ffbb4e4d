using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Blocks.Devices;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Snapshots;
using Quench.Snapshots.Store;

namespace Quench.Imaging.Recovery;

/// <summary>Copies a persistent snapshot in full. The volume goes on meanwhile; the copy needs neither it nor the store afterwards.</summary>
public static class SnapshotClone
{
    private const int StepBytes = 1 << 20;

    private static readonly AlignedBufferPool s_buffers = new(StepBytes, maxRetained: 1);

    /// <summary>Copies what is in use, and makes sure that the rest of the target reads as zeros.</summary>
    /// <param name="snapshot">Open; lent.</param>
    /// <param name="grade">How much quiet its instant had.</param>
    /// <param name="target">At least as long; lent. What lies behind the volume's length is left alone.</param>
    /// <param name="isBlank">The target reads as zeros already.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="cancellationToken">Breaks off; the target is half written then.</param>
    /// <returns>Bytes that were written. All is durable.</returns>
    /// <exception cref="QuenchException">SNAP-172: the target is too small; nothing was written.</exception>
    public static async Task<long> CopyAsync(
        OpenSnapshot snapshot, SnapshotGrade grade, Disk target, bool isBlank, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        long length = snapshot.Reader.Geometry.Length;
        DemandRoom(target, length);
        VolumeCondition condition = grade == SnapshotGrade.FileSystem ? VolumeCondition.Frozen : VolumeCondition.Running;
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(snapshot.Reader, condition, cancellationToken);
        activity.Begin(JobPhase.Copying, analysis.Used.TotalLength);
        long written = 0;
        long position = 0;
        int sector = Math.Max(snapshot.Reader.Geometry.SectorSize, target.Geometry.SectorSize);
        foreach (Extent run in analysis.Used.Runs())
        {
            Extent whole = run.AlignOut(sector);
            Extent rest = Extent.FromTo(Math.Max(position, whole.Offset), Math.Max(position, Math.Min(length, whole.End))); // a file system's blocks may be smaller than sectors
            await ZeroAsync(target, position, rest.Offset, isBlank, cancellationToken);
            written += await CopyRunAsync(snapshot.Reader, rest, target, isBlank, activity, cancellationToken);
            position = rest.End;
        }

        await ZeroAsync(target, position, length, isBlank, cancellationToken);
        activity.Begin(JobPhase.Finishing, 0);
        await target.FlushAsync(cancellationToken);
        return written;
    }

    private static async Task<long> CopyRunAsync(
        IBlockReader reader, Extent run, Disk target, bool isBlank, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        using BufferLease buffer = s_buffers.Rent();
        long written = 0;
        for (long at = run.Offset; at < run.End; at += StepBytes)
        {
            Memory<byte> part = buffer.Memory[..(int)Math.Min(StepBytes, run.End - at)];
            await reader.ReadAsync(at, part, cancellationToken);
            if (part.Span.IndexOfAnyExcept((byte)0) < 0)
            {
                await ZeroAsync(target, at, at + part.Length, isBlank, cancellationToken);
            }
            else
            {
                await target.WriteAsync(at, part, cancellationToken);
                written += part.Length;
            }

            activity.Add(part.Length);
        }

        return written;
    }

    /// <summary>Refuses a target that can't hold the volume. <see cref="CopyAsync"/> asks it too.</summary>
    /// <param name="target">Lent; not written to.</param>
    /// <param name="length">The volume's length in bytes.</param>
    /// <exception cref="QuenchException">SNAP-172.</exception>
    public static void DemandRoom(Disk target, long length)
    {
        if (target.Geometry.Length < length)
        {
            throw new QuenchException(
                "SNAP-172", $"{target.Path} holds {ByteSize.Format(target.Geometry.Length)}, but the volume has {ByteSize.Format(length)}", "choose a larger device, or a new file")
            {
                Effect = "nothing was written",
            };
        }
    }

    private static async ValueTask ZeroAsync(Disk target, long from, long to, bool isBlank, CancellationToken cancellationToken)
    {
        if (to > from && !isBlank)
        {
            await target.ZeroAsync(Extent.FromTo(from, to), cancellationToken);
        }
    }
}
