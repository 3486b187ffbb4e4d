using Quench.Vault.Format;

namespace Quench.Vault.Index;

/// <summary>Where a chunk is.</summary>
internal readonly record struct ChunkPlace(IndexedPack Pack, int Offset, int SealedLength, ChunkMeta Meta);

/// <summary>Which chunk is where. All methods may be called from any thread; asking neither locks nor allocates.</summary>
internal interface IChunkIndex
{
    /// <summary>How many chunks there are.</summary>
    int Count { get; }

    /// <summary>Finds a chunk.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="place">Where it is.</param>
    /// <param name="ordinal">
    /// Its number: from 0, below <see cref="Count"/>, each given once, so that a bitmap can stand for a set of chunks. It never changes while this
    /// object lives, whatever is added, written out or merged meanwhile. Another object, after another generation or a rebuilt cache, numbers anew.
    /// </param>
    /// <exception cref="Quench.Blocks.QuenchException">The part of the local cache that would tell can't be read (VAULT-091): not known is not absent.</exception>
    bool TryFind(ChunkId id, out ChunkPlace place, out int ordinal);

    /// <summary>Whether a chunk is there to stay: in a pack that is present and not condemned. False when it can't be told, which costs room and no data.</summary>
    bool CanRelyOn(ChunkId id);
}
