using Quench.Blocks;

namespace Quench.Exports.Nbd;

/// <summary>Something that can be asked about ranges of an export: NBD's metadata context. (NBD protocol, "Metadata querying")</summary>
public interface INbdContext
{
    /// <summary>Its name: a namespace, a colon, a leaf, such as "quench:changed".</summary>
    string Name { get; }

    /// <summary>What holds for a range.</summary>
    /// <param name="range">Inside the export, not empty.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Consecutive extents from the range's start, at least one, none beyond its end; they may stop short of it.</returns>
    ValueTask<IReadOnlyList<NbdStatus>> GetStatusAsync(Extent range, CancellationToken cancellationToken);
}

/// <summary>What holds for a run of bytes.</summary>
/// <param name="Length">Bytes, at least 1.</param>
/// <param name="Flags">As the context defines them.</param>
public readonly record struct NbdStatus(long Length, uint Flags);
