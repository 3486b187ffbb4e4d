using Quench.Blocks;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands;

/// <summary>What the user says about the diff area, and what follows from it.</summary>
/// <param name="Memory">--diff-area-memory.</param>
/// <param name="Path">--diff-area: a folder, "none" for memory alone, null when nothing was said.</param>
/// <param name="Size">--diff-area-size.</param>
internal sealed record DiffAreaChoice(long? Memory, string? Path, long? Size)
{
    private const long DefaultMemory = 128L << 20;
    private const long Smallest = 1L << 20;
    private const string None = "none";
    private const string DefaultFolder = "/var/tmp"; // large, on disk, and emptied by nobody while we work

    /// <summary>The options for the provider.</summary>
    /// <param name="isOnVolume">Whether a folder lies on the very volume that is imaged, where old blocks must not go.</param>
    /// <param name="freeze">Whether its file system may be frozen for the instant.</param>
    /// <param name="freezeLimit">How long that may last.</param>
    /// <exception cref="QuenchException">CLI-107, exit code 2: the sizes make no sense together.</exception>
    public SnapshotOptions For(Func<string, bool> isOnVolume, bool freeze, TimeSpan freezeLimit)
    {
        long memory = Memory ?? Math.Min(DefaultMemory, Size ?? DefaultMemory);
        long cap = Size ?? memory;
        string? folder = Path switch
        {
            None => null,
            null => isOnVolume(DefaultFolder) ? null : DefaultFolder,
            _ => Path,
        };
        if (cap < Smallest)
        {
            throw Refuse($"a diff area of {ByteSize.Format(cap)} is too small", $"give it at least {ByteSize.Format(Smallest)}");
        }

        if (memory > cap)
        {
            throw Refuse("--diff-area-memory is larger than --diff-area-size", "the size is the most that may be kept, memory included");
        }

        if (cap > memory && folder is null)
        {
            throw Refuse(
                $"a diff area of {ByteSize.Format(cap)} does not fit the {ByteSize.Format(memory)} of memory it may take",
                "say where the rest may go with --diff-area PATH, on another disk than the volume's");
        }

        return new SnapshotOptions { MemoryBytes = memory, SpillFolder = folder, CapBytes = Size, Freeze = freeze, FreezeLimit = freezeLimit };
    }

    private static QuenchException Refuse(string message, string next) =>
        new("CLI-107", message, next) { Effect = "no snapshot was taken", ExitCode = ExitCodes.Usage };
}
