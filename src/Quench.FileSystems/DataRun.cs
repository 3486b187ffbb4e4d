namespace Quench.FileSystems;

/// <summary>A run of a file's blocks.</summary>
/// <param name="Position">Its first block in the file.</param>
/// <param name="Start">Its first block in the file system.</param>
/// <param name="Count">How many.</param>
internal readonly record struct DataRun(long Position, long Start, long Count)
{
    /// <summary>What is left of runs without a file's first blocks.</summary>
    public static IEnumerable<(long First, long Count)> Behind(IEnumerable<DataRun> runs, long head)
    {
        foreach (DataRun run in runs)
        {
            long skip = Math.Clamp(head - run.Position, 0, run.Count);
            if (skip < run.Count)
            {
                yield return (run.Start + skip, run.Count - skip);
            }
        }
    }
}
