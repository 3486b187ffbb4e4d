namespace Quench.Snapshots.Store;

/// <summary>How a read of a stored snapshot stands.</summary>
internal enum StoreReadStatus
{
    /// <summary>Read the blocks that the plan names, then check again.</summary>
    Reading,

    /// <summary>All bytes are those of the instant.</summary>
    Done,

    /// <summary>The snapshot is deleted or dropped. Drop all bytes.</summary>
    Gone,
}

// What a read sees. It holds nothing: it looks, reads, and looks again (docs/decisions/0003-readers-recheck.md).
internal sealed partial class VersionBook
{
    /// <summary>In a plan: the block is on the origin.</summary>
    internal const int OnOrigin = None;

    /// <summary>In a plan: the block has been read and is right.</summary>
    internal const int Settled = -2;

    /// <summary>Finds out where the blocks of a snapshot are.</summary>
    /// <param name="number">The snapshot.</param>
    /// <param name="firstBlock">The first block.</param>
    /// <param name="plan">Receives for each block its slot, or <see cref="OnOrigin"/>.</param>
    internal StoreReadStatus Locate(uint number, long firstBlock, Span<int> plan)
    {
        if (!IsReadable(number))
        {
            return StoreReadStatus.Gone;
        }

        for (int index = 0; index < plan.Length; index++)
        {
            plan[index] = Find(firstBlock + index, number);
        }

        return StoreReadStatus.Reading;
    }

    /// <summary>
    /// After the blocks of a plan were read: settles those that are proved, and plans again those that moved into a slot meanwhile. A version that a
    /// readable snapshot needs never leaves its slot; and a write lands on a block only after its version is in the book. So there are two rounds at most.
    /// </summary>
    internal StoreReadStatus Recheck(uint number, long firstBlock, Span<int> plan)
    {
        if (!IsReadable(number))
        {
            return StoreReadStatus.Gone;
        }

        StoreReadStatus status = StoreReadStatus.Done;
        for (int index = 0; index < plan.Length; index++)
        {
            int moved = plan[index] == OnOrigin ? Find(firstBlock + index, number) : None;
            plan[index] = moved == None ? Settled : moved;
            status = moved == None ? status : StoreReadStatus.Reading;
        }

        return status;
    }

    /// <summary>The first run of blocks, from one on, whose content for a snapshot is not the origin's: what a revert writes back.</summary>
    /// <param name="number">A readable snapshot.</param>
    /// <param name="block">Where to begin.</param>
    /// <param name="limit">The most blocks to look at.</param>
    /// <param name="next">Where to go on.</param>
    /// <param name="kept">How many blocks of the run the newest snapshot has no version of: each takes a slot when it is overwritten.</param>
    /// <returns>First and count; count is 0 when none was met.</returns>
    internal (long First, long Count) NextSaved(uint number, long block, int limit, out long next, out long kept)
    {
        long blocks = (Geometry.VolumeLength + Geometry.BlockSize - 1) / Geometry.BlockSize;
        long stop = Math.Min(blocks, block + limit);
        kept = 0;
        while (block < stop && Find(block, number) == None)
        {
            block++;
        }

        long first = block;
        for (; block < stop && Find(block, number) != None; block++)
        {
            kept += NewestKey(block) < Newest ? 1 : 0;
        }

        next = block;
        return (first, block - first);
    }
}
