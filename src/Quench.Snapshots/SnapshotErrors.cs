using Quench.Blocks;

namespace Quench.Snapshots;

/// <summary>Failures that every provider words alike.</summary>
public static class SnapshotErrors
{
    /// <summary>SNAP-104: the snapshot can't be read any more; its backup ends with exit code 20.</summary>
    /// <param name="volume">The volume's name.</param>
    /// <param name="reason">What broke it, as the provider tells it.</param>
    /// <param name="cause">The failed read, if that is how it was noticed.</param>
    public static QuenchException Broken(string volume, string reason, Exception? cause = null) => new(
        "SNAP-104",
        $"snapshot of {volume} stopped: {reason}",
        "run it again; if the diff area was full, give it more room with --diff-area-size and a folder for it with --diff-area, or back up in a quieter hour",
        cause)
    {
        Effect = "the volume itself is unaffected: every write went through",
        ExitCode = 20,
        CanRetry = true,
    };
}
