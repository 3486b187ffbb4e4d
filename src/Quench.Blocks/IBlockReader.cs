namespace Quench.Blocks;

/// <summary>
/// Anything that reads like a disk: a device, an image file, a snapshot, a recovery point. Its content at an offset may change
/// only if somebody writes it through another door; its length never changes.
/// </summary>
/// <remarks>All methods may be called from many threads at once. Disposing ends the reader and what it owns; it may be done twice.</remarks>
public interface IBlockReader : IAsyncDisposable
{
    /// <summary>Size and units. Constant for the reader's life.</summary>
    BlockGeometry Geometry { get; }

    /// <summary>Reads exactly the buffer's length.</summary>
    /// <param name="offset">First byte; a multiple of the sector size.</param>
    /// <param name="into">Filled when the task completes; its length is a multiple of the sector size. The callee does not keep it.</param>
    /// <param name="cancellationToken">Gives up between transfers; the buffer is then undefined.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the device.</exception>
    /// <exception cref="IOException">The medium failed.</exception>
    ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken);

    /// <summary>What is known of a range without reading it. Never wrong, sometimes vague: "data" is always a true answer.</summary>
    /// <returns>Consecutive extents that cover the range exactly.</returns>
    ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken);
}
