using System.Runtime.InteropServices;
using Quench.Blocks.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault.Packs;

/// <summary>Where a chunk lies in its pack, and how to open it.</summary>
internal readonly record struct PackEntry(ChunkId Id, int Offset, int SealedLength, ChunkMeta Meta);

/// <summary>A pack that is being filled, in one buffer. Not thread-safe. Disposing returns the buffer. (§6.1)</summary>
internal sealed class PackBuilder(BufferLease buffer, int target) : IDisposable
{
    private readonly BufferLease _buffer = buffer;
    private readonly List<PackEntry> _entries = [];
    private readonly List<uint> _checksums = []; // of each entry's sealed bytes, from the sealer
    private int _end = PackHeader.Size; // where the next chunk goes

    internal IReadOnlyList<PackEntry> Entries => _entries;

    /// <summary>Copies a sealed chunk in.</summary>
    /// <returns>False when the pack is full.</returns>
    internal bool TryAdd(ChunkId id, ReadOnlySpan<byte> @sealed, ChunkMeta meta, uint checksum)
    {
        if (SizeWith(@sealed.Length, 1) > target)
        {
            return false;
        }

        @sealed.CopyTo(_buffer.Span[_end..]);
        _entries.Add(new PackEntry(id, _end, @sealed.Length, meta));
        _checksums.Add(checksum);
        _end += @sealed.Length;
        return true;
    }

    /// <summary>Copies all of another pack's chunks in: nothing in a sealed chunk says where it lies. (§6.3)</summary>
    /// <returns>False when they don't all fit; nothing has changed then.</returns>
    internal bool TryAppend(PackBuilder other)
    {
        if (SizeWith(other._end - PackHeader.Size, other._entries.Count) > target)
        {
            return false;
        }

        for (int index = 0; index < other._entries.Count; index++)
        {
            PackEntry entry = other._entries[index];
            _ = TryAdd(entry.Id, other._buffer.Span.Slice(entry.Offset, entry.SealedLength), entry.Meta, other._checksums[index]);
        }

        return true;
    }

    /// <summary>Adds header, directory and footer.</summary>
    /// <returns>The pack, in the builder's memory.</returns>
    internal ReadOnlyMemory<byte> Finish(Guid packId, SessionKey session)
    {
        int length = SizeClass.Of(SizeWith(0, 0));
        PackFraming.Write(_buffer.Span[..length], packId, session, CollectionsMarshal.AsSpan(_entries));
        return _buffer.Memory[..length];
    }

    /// <summary>The first chunk whose bytes are no longer those that the sealer proved; null when all are.</summary>
    internal ChunkId? FindChanged()
    {
        for (int index = 0; index < _entries.Count; index++)
        {
            PackEntry entry = _entries[index];
            if (MemoryChecksum.Of(_buffer.Span.Slice(entry.Offset, entry.SealedLength)) != _checksums[index])
            {
                return entry.Id;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();

    private int SizeWith(int moreBytes, int moreEntries) =>
        _end + moreBytes + PackDirectory.HeadSize + ((_entries.Count + moreEntries) * PackDirectory.EntrySize) + PackFooter.TagSize + PackFooter.Size;
}
