using System.Security.Cryptography;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Stores;

namespace Quench.Vault.Packs;

/// <summary>What a pack says of itself.</summary>
/// <param name="Session">The key that its chunks are under.</param>
/// <param name="Entries">Its chunks, in order of offset.</param>
internal sealed record PackContents(SessionKey Session, PackEntry[] Entries);

/// <summary>Reads packs: all that a pack says is believed only after it has been authenticated. (§6.4)</summary>
internal static class PackReader
{
    private const int MaxDirectory = 64 * 1024 * 1024;

    /// <summary>The cipher of a pack's directory. (§6.2)</summary>
    internal static AesGcm DirectoryCipher(SessionKey session, Guid packId)
    {
        Span<byte> context = stackalloc byte[16];
        packId.TryWriteBytes(context, bigEndian: true, out _);
        Span<byte> key = stackalloc byte[Secret.Size];
        Derivation.Expand(session.Key, "quench/1/directory"u8, context, key);
        AesGcm cipher = new(key, PackFooter.TagSize);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }

    /// <summary>Reads header, footer and directory from a store.</summary>
    /// <returns>Null when the pack is missing, damaged or forged.</returns>
    internal static async Task<PackContents?> TryReadAsync(
        IObjectStore store, VaultKeys keys, Guid packId, long length, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Pack(packId);
        byte[] ends = new byte[PackHeader.Size + PackFooter.Size];
        if (length < SizeClass.Overhead
            || !await store.TryReadAsync(name, 0, ends.AsMemory(0, PackHeader.Size), cancellationToken)
            || !await store.TryReadAsync(name, length - PackFooter.Size, ends.AsMemory(PackHeader.Size), cancellationToken)
            || DirectoryExtent(ends, length) is not var (offset, size) || size > MaxDirectory)
        {
            return null;
        }

        byte[] directory = new byte[size + PackFooter.TagSize];
        return await store.TryReadAsync(name, offset, directory, cancellationToken) ? TryOpen(keys, packId, ends, directory) : null;
    }

    /// <summary>Reads the directory of a pack that is in memory.</summary>
    internal static PackContents? TryRead(VaultKeys keys, Guid packId, ReadOnlySpan<byte> pack)
    {
        if (pack.Length < SizeClass.Overhead)
        {
            return null;
        }

        byte[] ends = [.. pack[..PackHeader.Size], .. pack[^PackFooter.Size..]];
        return DirectoryExtent(ends, pack.Length) is var (offset, size)
            ? TryOpen(keys, packId, ends, pack.Slice((int)offset, (int)size + PackFooter.TagSize))
            : null;
    }

    private static (long Offset, long Length)? DirectoryExtent(ReadOnlySpan<byte> ends, long packLength)
    {
        PackFooter footer = new(ends[PackHeader.Size..]);
        return new PackHeader(ends).IsValid && footer.IsValidFor(packLength) ? (footer.DirectoryOffset, footer.DirectoryLength) : null;
    }

    /// <summary>Opens a directory.</summary>
    /// <param name="keys">The vault's keys.</param>
    /// <param name="packId">The pack's id, from its name.</param>
    /// <param name="ends">The header and the footer, together: the associated data.</param>
    /// <param name="directory">The encrypted directory and its tag.</param>
    private static PackContents? TryOpen(VaultKeys keys, Guid packId, ReadOnlySpan<byte> ends, ReadOnlySpan<byte> directory)
    {
        PackHeader header = new(ends);
        PackFooter footer = new(ends[PackHeader.Size..]);
        if (header.PackId != packId || header.VaultId != keys.VaultId
            || keys.TryUnwrap(header.Epoch, header.SessionId, footer.WrappedKey) is not { } session)
        {
            return null;
        }

        byte[] plain = new byte[directory.Length - PackFooter.TagSize];
        using AesGcm cipher = DirectoryCipher(session, packId);
        PackDirectory entries = new(plain);
        return VaultKeys.TryDecrypt(cipher, footer.Nonce, directory[..^PackFooter.TagSize], directory[^PackFooter.TagSize..], plain, ends)
            && entries.IsValid((int)footer.DirectoryOffset)
            ? new PackContents(session, ToArray(entries))
            : null;
    }

    private static PackEntry[] ToArray(PackDirectory directory)
    {
        PackEntry[] entries = new PackEntry[directory.Count];
        for (int i = 0; i < entries.Length; i++)
        {
            entries[i] = new PackEntry(ChunkId.From(directory.Id(i)), directory.Offset(i), directory.SealedLength(i), directory.Meta(i));
        }

        return entries;
    }
}
