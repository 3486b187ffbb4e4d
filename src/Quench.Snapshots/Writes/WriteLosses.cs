namespace Quench.Snapshots.Writes;

/// <summary>What a watch has missed since it began; each number only grows. All zero: every write was heard.</summary>
/// <param name="Missed">Times that the kernel did not run a program of the watch.</param>
/// <param name="Events">Events that found no room.</param>
/// <param name="Bytes">Bytes of those.</param>
/// <param name="Unread">Requests of which something could not be read.</param>
/// <param name="Names">Files' names that found no room at first.</param>
/// <param name="Pages">Pages whose writer could not be noted.</param>
/// <param name="ApproximateBytes">Bytes at the end of very long requests that were put down to the writer of the page before.</param>
public readonly record struct WriteLosses(long Missed, long Events, long Bytes, long Unread, long Names, long Pages, long ApproximateBytes)
{
    /// <summary>Whether a write may be missing from the events.</summary>
    public bool MayMissWrites => Missed != 0 || Events != 0 || Unread != 0;
}
