using System.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Packs;

namespace Quench.Vault.Upkeep;

/// <summary>What of a pack's bytes opens.</summary>
/// <param name="Session">The key of its chunks.</param>
/// <param name="Entries">Its chunks, from its own directory or from the index.</param>
/// <param name="IsFramed">Whether its own header, directory and footer say so.</param>
/// <param name="Opens">Of each entry whether it opens as its id.</param>
internal sealed record PackLook(SessionKey Session, PackEntry[] Entries, bool IsFramed, bool[] Opens)
{
    internal bool IsSound => IsFramed && !Opens.Contains(false);

    internal IEnumerable<PackEntry> Missing => Entries.Where((_, index) => !Opens[index]);

    /// <summary>Opens all that opens.</summary>
    /// <param name="keys">The vault's keys.</param>
    /// <param name="openers">Lends an opener.</param>
    /// <param name="packId">The pack's id.</param>
    /// <param name="pack">Its bytes.</param>
    /// <param name="booked">What the index says of it, for when its own directory does not open.</param>
    /// <returns>Null when neither the directory nor the index says what is in it.</returns>
    internal static PackLook? Take(VaultKeys keys, ChunkOpenerPool openers, Guid packId, ReadOnlySpan<byte> pack, BookedPack? booked)
    {
        PackContents? contents = PackReader.TryRead(keys, packId, pack);
        if (contents is null && booked is null)
        {
            return null;
        }

        PackLook look = new(
            contents?.Session ?? booked!.Session, contents?.Entries ?? booked!.Entries, contents is not null,
            new bool[(contents?.Entries ?? booked!.Entries).Length]);
        ChunkOpener opener = openers.Rent();
        byte[] plaintext = ArrayPool<byte>.Shared.Rent(ChunkMeta.MaxPlainLength);
        for (int i = 0; i < look.Entries.Length; i++)
        {
            PackEntry entry = look.Entries[i];
            look.Opens[i] = (long)entry.Offset + entry.SealedLength <= pack.Length
                && entry.Meta.IsValid
                && opener.TryOpen(keys, look.Session, entry.Id, entry.Meta, pack.Slice(entry.Offset, entry.SealedLength), plaintext.AsSpan(0, entry.Meta.PlainLength));
        }

        ArrayPool<byte>.Shared.Return(plaintext);
        openers.Return(opener);
        return look;
    }
}
