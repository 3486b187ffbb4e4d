using Quench.Blocks;
using Quench.Snapshots;

namespace Quench.Imaging.Capture;

/// <summary>Turns a read that failed into an error that says whether the snapshot broke or the medium did.</summary>
internal static class SnapshotTrouble
{
    private const int SnapshotInvalidated = 20;

    /// <summary>Throws if the snapshot can no longer be read.</summary>
    public static void ThrowIfBroken(ISnapshot snapshot, DiffAreaStatus status, Exception? cause)
    {
        if (status.BrokenReason is { } reason)
        {
            throw new QuenchException(
                "SNAP-104",
                $"snapshot of {snapshot.Volume} stopped: {reason}{Room(status)}",
                "give the diff area more room with --diff-area-size, or back up at a quieter time",
                cause)
            {
                Effect = "the backup was given up and left no recovery point; the volume itself is unaffected",
                ExitCode = SnapshotInvalidated,
                CanRetry = true,
            };
        }
    }

    /// <summary>Throws what is to be said about a read that failed.</summary>
    public static async ValueTask ThrowAsync(ISnapshot snapshot, Extent extent, Exception failure, CancellationToken cancellationToken)
    {
        ThrowIfBroken(snapshot, await snapshot.GetStatusAsync(cancellationToken), failure);
        if (failure is QuenchException known)
        {
            throw known;
        }

        throw new QuenchException(
            "IMG-110",
            $"{snapshot.Volume} could not be read: {ByteSize.Format(extent.Length)} at 0x{extent.Offset:x}: {failure.Message}",
            "look at the disk's health (dmesg, smartctl); a medium that can't be read can't be imaged",
            failure)
        {
            Effect = "the backup was given up and left no recovery point; nothing was written to the volume",
        };
    }

    private static string Room(DiffAreaStatus status) =>
        status.CapBytes > 0 ? $" ({ByteSize.Format(status.UsedBytes)} of {ByteSize.Format(status.CapBytes)} in the diff area)" : "";
}
