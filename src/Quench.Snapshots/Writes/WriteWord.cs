namespace Quench.Snapshots.Writes;

/// <summary>The words of the page that the programs and user space share; each only grows.</summary>
internal enum WriteWord
{
    /// <summary>Requests that the first program heard on the disk, reads included.</summary>
    Heard,

    /// <summary>Events that found no room in the ring.</summary>
    LostEvents,

    /// <summary>Bytes of those.</summary>
    LostBytes,

    /// <summary>Requests of which something could not be read.</summary>
    Unread,

    /// <summary>Names that found no room in the ring; they are told with the file's next request.</summary>
    LostNames,

    /// <summary>Pages whose writer could not be noted.</summary>
    Unnoted,

    /// <summary>Bytes at the end of long requests that were put down to the writer of the page before them.</summary>
    Approximate,

    /// <summary>How many words there are.</summary>
    Count,
}
