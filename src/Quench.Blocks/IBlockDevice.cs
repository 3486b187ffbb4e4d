namespace Quench.Blocks;

/// <summary>A disk that can be written.</summary>
/// <remarks>
/// Writes to disjoint ranges may run at once. A range that is written and read at the same time reads as old, new, or a mix by sector.
/// What has been written is durable after a <see cref="FlushAsync"/> that began later than the write ended.
/// </remarks>
public interface IBlockDevice : IBlockReader
{
    /// <summary>Writes exactly the source's length.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="source">Lent until the task completes; its length is a multiple of the sector size.</param>
    /// <param name="cancellationToken">Gives up between transfers; the range is then old, new, or a mix by sector.</param>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken);

    /// <summary>Makes a range read as zeros, by the medium's own means where it has any.</summary>
    ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken);

    /// <summary>Says that a range is no longer needed. It may read as anything afterwards; doing nothing is allowed.</summary>
    ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken);

    /// <summary>Makes durable what had been written when it was called. After a failure what is durable is unknown.</summary>
    ValueTask FlushAsync(CancellationToken cancellationToken);
}
