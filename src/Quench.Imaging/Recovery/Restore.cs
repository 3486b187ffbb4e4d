using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems.PartitionTables;
using Quench.Imaging.Activity;

namespace Quench.Imaging.Recovery;

/// <summary>What a restore did.</summary>
/// <param name="WrittenBytes">Data written.</param>
/// <param name="ZeroedBytes">Bytes made to read as zeros without data.</param>
/// <param name="EqualBytes">Bytes that the target had already, when only what differs was written.</param>
public readonly record struct RestoreResult(long WrittenBytes, long ZeroedBytes, long EqualBytes)
{
    /// <summary>What two parts of a restore did.</summary>
    public static RestoreResult operator +(RestoreResult one, RestoreResult other) =>
        new(one.WrittenBytes + other.WrittenBytes, one.ZeroedBytes + other.ZeroedBytes, one.EqualBytes + other.EqualBytes);
}

/// <summary>Executes a restore plan.</summary>
public static class Restore
{
    private const long TailGrid = 1 << 20; // no medium has larger sectors

    /// <summary>Writes the image to the target. What was written is durable when the task completes.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="image">The volume's image; stays the caller's.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="cancellationToken">Gives up: a new file is removed again, another target is left half written.</param>
    /// <exception cref="QuenchException">RST-110: the target can't be written; RST-122 (exit code 22): what was read back differs.</exception>
    public static async Task<RestoreResult> RunAsync(
        RestorePlan plan, IBlockReader image, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        bool isNew = plan.TargetKind == RestoreTargetKind.NewFile;
        Disk target = isNew ? ImageFile.CreateNew(plan.TargetPath, plan.TargetLength) : OpenExisting(plan.TargetPath);
        bool done = false;
        try
        {
            RestoreRun[] runs = [.. Cut(plan, image, target).Select(part => new RestoreRun(part.Source, part.Target, isBlank: isNew, plan.OnlyDifferent, activity))];
            RestoreResult result = default;
            foreach (RestoreRun run in runs)
            {
                result += await run.WriteAsync(cancellationToken);
            }

            foreach (RestoreRun run in plan.ReadBack ? runs : [])
            {
                await run.ReadBackAsync(cancellationToken);
            }

            done = true;
            return result;
        }
        catch (IOException failure)
        {
            throw new QuenchException(
                "RST-110", $"the restore to {plan.TargetPath} failed: {failure.Message}", "look at the target's health and room, then run it again", failure)
            {
                Effect = isNew ? "the unfinished file was removed" : "the target is half written: don't use it",
            };
        }
        finally
        {
            await target.DisposeAsync();
            if (isNew && !done)
            {
                File.Delete(plan.TargetPath);
            }
        }
    }

    /// <summary>
    /// What is written where: the image as it is; or a part of it, whose boot sector may say that it begins elsewhere; or a disk with another table, and then, where the target is larger, the backup of that table at its end. Between the two
    /// the target stays as it is. Nothing of it need be disposed.
    /// </summary>
    private static IEnumerable<(IBlockReader Source, IBlockDevice Target)> Cut(RestorePlan plan, IBlockReader image, IBlockDevice target)
    {
        if (plan is { Partition: null, Fit: null })
        {
            yield return (image, target);
            yield break;
        }

        ByteAddressable bytes = new(image);
        TableFit fit = plan.Fit ?? new TableFit([], [], null);
        IEnumerable<(long Offset, byte[] Bytes)> moves = plan.Moves.Select(write => (plan.Part.Offset + write.Offset, write.Bytes));
        (long Offset, byte[] Bytes)[] patches = [.. fit.Clears.Select(clear => (clear.Offset, new byte[clear.Length])), .. fit.Writes, .. moves];
        long end = Math.Min(plan.Part.Length, plan.TargetLength);
        yield return (new FittedImage(bytes, new Extent(plan.Part.Offset, end), patches), target);
        long behind = patches.Where(patch => patch.Offset + patch.Bytes.Length > end).Select(patch => patch.Offset).DefaultIfEmpty(plan.TargetLength).Min();
        Extent tail = Extent.FromTo(behind / TailGrid * TailGrid, plan.TargetLength);
        if (behind < plan.TargetLength)
        {
            yield return (new FittedImage(bytes, tail, patches), new WritableSlice(target, tail));
        }
    }

    /// <summary>The plan saw nobody use it; that it is still so is made sure here, by claiming it.</summary>
    private static Disk OpenExisting(string path)
    {
        try
        {
            return Disk.Open(path, DeviceAccess.ReadWrite, exclusive: true);
        }
        catch (QuenchException failure) when (failure.Code == "BLOCK-103")
        {
            throw new QuenchException("RST-104", failure.Message, failure.Next, failure)
            {
                Effect = "nothing was written",
                ExitCode = 11,
                CanRetry = true,
            };
        }
    }
}
