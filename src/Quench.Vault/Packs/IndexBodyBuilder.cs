using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault.Packs;

/// <summary>Writes the body of an index object, pack after pack. (§8)</summary>
internal sealed class IndexBodyBuilder
{
    private int _pack;
    private int _packAt = IndexBody.HeadSize;
    private int _entryAt;

    /// <summary>A body for so many packs and entries, all of one session.</summary>
    internal IndexBodyBuilder(SessionKey session, int packs, int entries, long generation)
    {
        Bytes = new byte[IndexBody.SizeOf(packs, entries)];
        IndexBody.WriteHead(Bytes, session.SessionId, session.Epoch, packs, entries, session.Wrapped, generation);
        _entryAt = IndexBody.HeadSize + (packs * IndexBody.PackSize);
    }

    /// <summary>The body; complete when as many packs and entries have been added as were announced.</summary>
    internal byte[] Bytes { get; }

    internal void Add(Guid id, int length, ReadOnlySpan<PackEntry> entries)
    {
        IndexBody.WritePack(Bytes.AsSpan(_packAt, IndexBody.PackSize), id, length);
        _packAt += IndexBody.PackSize;
        Span<byte> chunk = stackalloc byte[ChunkId.Size];
        foreach (PackEntry entry in entries)
        {
            entry.Id.CopyTo(chunk);
            IndexBody.WriteEntry(Bytes.AsSpan(_entryAt, IndexBody.EntrySize), chunk, _pack, entry.Offset, entry.SealedLength, entry.Meta);
            _entryAt += IndexBody.EntrySize;
        }

        _pack++;
    }
}
