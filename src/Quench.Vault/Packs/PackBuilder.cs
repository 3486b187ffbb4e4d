using System.Runtime.InteropServices;
using System.Security.Cryptography;
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
        int directoryLength = length - _end - PackFooter.TagSize - PackFooter.Size;
        Span<byte> pack = _buffer.Span[..length];
        Span<byte> directory = pack.Slice(_end, directoryLength);
        WriteDirectory(directory);

        Span<byte> nonce = stackalloc byte[PackFooter.NonceSize];
        RandomNumberGenerator.Fill(nonce);
        PackHeader.Write(pack, session.Epoch, session.VaultId, session.SessionId, packId);
        PackFooter.Write(pack[^PackFooter.Size..], nonce, session.Wrapped, _end, directoryLength);

        Span<byte> associated = stackalloc byte[PackHeader.Size + PackFooter.Size];
        pack[..PackHeader.Size].CopyTo(associated);
        pack[^PackFooter.Size..].CopyTo(associated[PackHeader.Size..]);
        using AesGcm cipher = PackReader.DirectoryCipher(session, packId);
        cipher.Encrypt(nonce, directory, directory, pack.Slice(_end + directoryLength, PackFooter.TagSize), associated);
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

    private void WriteDirectory(Span<byte> directory)
    {
        directory.Clear();
        PackDirectory.WriteHead(directory, _entries.Count);
        Span<byte> id = stackalloc byte[ChunkId.Size];
        int at = PackDirectory.HeadSize;
        foreach (PackEntry entry in CollectionsMarshal.AsSpan(_entries))
        {
            entry.Id.CopyTo(id);
            PackDirectory.WriteEntry(directory.Slice(at, PackDirectory.EntrySize), id, entry.Offset, entry.SealedLength, entry.Meta);
            at += PackDirectory.EntrySize;
        }
    }
}
