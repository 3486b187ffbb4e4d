using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Ext4.Journal;

/// <summary>A block's newest committed content in the journal.</summary>
/// <param name="StoredAt">The block of the file system in which the journal keeps it.</param>
/// <param name="Escaped">Its first four bytes are the journal's magic, which the journal cannot store as they are: it wrote zeros.</param>
internal readonly record struct JournaledBlock(long StoredAt, bool Escaped)
{
    /// <summary>Puts the magic back.</summary>
    public void Unescape(Span<byte> block)
    {
        if (Escaped)
        {
            WriteUInt32BigEndian(block, JournalBlock.ExpectedMagic);
        }
    }
}

/// <summary>Which blocks the journal would write when it is replayed, and where their content is. Positions only: the bytes stay on disk.</summary>
internal sealed class ReplayedBlocks
{
    /// <summary>The most blocks a journal may replay: 4 GiB of 4 KiB blocks. It bounds the memory.</summary>
    public const int Limit = 1 << 20;

    private readonly Dictionary<long, JournaledBlock> _blocks = [];

    public int Count => _blocks.Count;

    /// <summary>The blocks, in no order.</summary>
    public IEnumerable<long> Blocks => _blocks.Keys;

    public bool TryFind(long block, out JournaledBlock found) => _blocks.TryGetValue(block, out found);

    /// <summary>Takes up a transaction that is known to be committed. Transactions come in their order.</summary>
    /// <remarks>
    /// A revoked block is not replayed from its own transaction or an earlier one. A later one may write it again, so taking it out here is
    /// all that revoking needs.
    /// </remarks>
    public void Apply(IReadOnlyList<(long Block, JournaledBlock Stored)> written, IReadOnlyList<long> revoked)
    {
        foreach ((long block, JournaledBlock stored) in written)
        {
            _blocks[block] = stored;
        }

        foreach (long block in revoked)
        {
            _blocks.Remove(block);
        }

        InDoubtException.Unless(_blocks.Count <= Limit, $"the ext4 journal replays more than {Limit} blocks, more than Quench keeps track of");
    }
}
