using System.Security.Cryptography;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault.Packs;

/// <summary>What a pack has around its chunks: header, directory, footer. (§6.1, §6.2)</summary>
internal static class PackFraming
{
    /// <summary>Writes all three around chunks that are in place.</summary>
    /// <param name="pack">All of the pack's bytes.</param>
    /// <param name="packId">Its id.</param>
    /// <param name="session">The session that its chunks are of.</param>
    /// <param name="entries">Its chunks, in order of offset, one behind the other.</param>
    internal static void Write(Span<byte> pack, Guid packId, SessionKey session, ReadOnlySpan<PackEntry> entries)
    {
        int end = entries[^1].Offset + entries[^1].SealedLength;
        int directoryLength = pack.Length - end - PackFooter.TagSize - PackFooter.Size;
        Span<byte> directory = pack.Slice(end, directoryLength);
        WriteDirectory(directory, entries);

        Span<byte> nonce = stackalloc byte[PackFooter.NonceSize];
        RandomNumberGenerator.Fill(nonce);
        PackHeader.Write(pack, session.Epoch, session.VaultId, session.SessionId, packId);
        PackFooter.Write(pack[^PackFooter.Size..], nonce, session.Wrapped, end, directoryLength);

        Span<byte> associated = stackalloc byte[PackHeader.Size + PackFooter.Size];
        pack[..PackHeader.Size].CopyTo(associated);
        pack[^PackFooter.Size..].CopyTo(associated[PackHeader.Size..]);
        using AesGcm cipher = PackReader.DirectoryCipher(session, packId);
        cipher.Encrypt(nonce, directory, directory, pack.Slice(end + directoryLength, PackFooter.TagSize), associated);
    }

    /// <summary>Whether a directory of these entries fits a pack of this length behind them.</summary>
    internal static bool Fits(long packLength, ReadOnlySpan<PackEntry> entries)
    {
        long next = PackHeader.Size;
        foreach (PackEntry entry in entries)
        {
            if (entry.Offset != next)
            {
                return false;
            }

            next += entry.SealedLength;
        }

        long needed = PackDirectory.HeadSize + ((long)entries.Length * PackDirectory.EntrySize) + PackFooter.TagSize + PackFooter.Size;
        return entries.Length > 0 && next + needed <= packLength;
    }

    private static void WriteDirectory(Span<byte> directory, ReadOnlySpan<PackEntry> entries)
    {
        directory.Clear();
        PackDirectory.WriteHead(directory, entries.Length);
        Span<byte> id = stackalloc byte[ChunkId.Size];
        int at = PackDirectory.HeadSize;
        foreach (PackEntry entry in entries)
        {
            entry.Id.CopyTo(id);
            PackDirectory.WriteEntry(directory.Slice(at, PackDirectory.EntrySize), id, entry.Offset, entry.SealedLength, entry.Meta);
            at += PackDirectory.EntrySize;
        }
    }
}
