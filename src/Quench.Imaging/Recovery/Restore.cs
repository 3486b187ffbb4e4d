using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Imaging.Activity;

namespace Quench.Imaging.Recovery;

/// <summary>What a restore did.</summary>
/// <param name="WrittenBytes">Data written.</param>
/// <param name="ZeroedBytes">Bytes made to read as zeros without data.</param>
/// <param name="EqualBytes">Bytes that the target had already, when only what differs was written.</param>
public readonly record struct RestoreResult(long WrittenBytes, long ZeroedBytes, long EqualBytes);

/// <summary>Executes a restore plan.</summary>
public static class Restore
{
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
        Disk target = isNew ? ImageFile.CreateNew(plan.TargetPath, plan.Volume.Length) : OpenExisting(plan.TargetPath);
        bool done = false;
        try
        {
            RestoreRun run = new(image, target, isBlank: isNew, plan.OnlyDifferent, activity);
            RestoreResult result = await run.WriteAsync(cancellationToken);
            if (plan.ReadBack)
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
