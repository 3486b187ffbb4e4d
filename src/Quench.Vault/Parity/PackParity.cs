using System.Buffers;
using System.Security.Cryptography;
using Quench.Vault.Format;

namespace Quench.Vault.Parity;

/// <summary>What a pack is to its parity.</summary>
internal enum PackCondition
{
    /// <summary>It is the pack that the parity was made of.</summary>
    Whole,

    /// <summary>It was not, and has been healed: it is now.</summary>
    Healed,

    /// <summary>Too many shards of a stripe are missing. The other stripes have been healed.</summary>
    BeyondParity,

    /// <summary>All shards match their checks and the whole does not match its hash: a check lies, or the parity is of another pack.</summary>
    Contradiction,
}

/// <summary>What healing found and did.</summary>
/// <param name="Condition">What the pack is now.</param>
/// <param name="BadShards">Shards of the pack that did not match their checks.</param>
/// <param name="BadParity">Parity shards that did not.</param>
/// <param name="LostStripes">Stripes that could not be healed.</param>
internal readonly record struct HealResult(PackCondition Condition, int BadShards, int BadParity, int LostStripes);

/// <summary>Makes the parity objects of packs, and heals packs with them. Needs no key: parity is of the encrypted bytes. (docs/vault-format.md §6.5)</summary>
internal static class PackParity
{
    /// <summary>Bytes of the parity object of a pack.</summary>
    internal static int SizeOf(int packLength, ParitySettings settings)
    {
        ParityLayout layout = new(packLength, settings);
        return (2 * HeaderSize(layout)) + (layout.ParityShards * settings.ShardSize);
    }

    /// <summary>Writes the parity object of a pack.</summary>
    /// <param name="into">Receives <see cref="SizeOf"/> bytes.</param>
    /// <param name="pack">The pack.</param>
    /// <param name="vaultId">Of the vault.</param>
    /// <param name="packId">Of the pack.</param>
    /// <param name="code">For the settings' shards.</param>
    /// <param name="settings">Not none.</param>
    internal static void Write(Span<byte> into, ReadOnlySpan<byte> pack, Guid vaultId, Guid packId, ReedSolomon code, ParitySettings settings)
    {
        ParityLayout layout = new(pack.Length, settings);
        int headerSize = HeaderSize(layout);
        Span<byte> header = into[..headerSize];
        Span<byte> parity = into[headerSize..^headerSize];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(pack, hash);
        ParityHeader.Write(header, settings.DataShards, settings.ParityShards, vaultId, packId, pack.Length, settings.ShardSize, hash);
        parity.Clear();

        // In the pack's order: each shard is read once, and all sums together fit a core's cache.
        for (int shard = 0; shard < layout.DataShards; shard++)
        {
            ReadOnlySpan<byte> data = pack[layout.DataRange(shard)];
            ParityHeader.WriteCheck(header, shard, ShardCheck.Of(data));
            for (int row = 0; row < settings.ParityShards; row++)
            {
                int sum = (row * layout.Stripes) + (shard % layout.Stripes);
                GaloisKernel.MultiplyAdd(parity.Slice(sum * settings.ShardSize, data.Length), data, code.Factor(row, shard / layout.Stripes));
            }
        }

        for (int shard = 0; shard < layout.ParityShards; shard++)
        {
            ParityHeader.WriteCheck(header, layout.DataShards + shard, ShardCheck.Of(parity.Slice(shard * settings.ShardSize, settings.ShardSize)));
        }

        ParityHeader.Seal(header);
        header.CopyTo(into[^headerSize..]);
    }

    /// <summary>Finds a sound header in a parity object, damaged or not: the first if it is whole, otherwise the last.</summary>
    /// <param name="object">The object; may be cut short.</param>
    /// <param name="vaultId">The vault that it must be of.</param>
    /// <param name="packId">The pack that it must be of.</param>
    /// <param name="header">The header.</param>
    /// <param name="layout">What it says.</param>
    /// <returns>False when neither copy can be relied on.</returns>
    internal static bool TryReadHeader(ReadOnlySpan<byte> @object, Guid vaultId, Guid packId, out ParityHeader header, out ParityLayout layout)
    {
        if (TryReadHeaderAt(@object, vaultId, packId, out header, out layout))
        {
            return true;
        }

        for (int at = (@object.Length / ParityHeader.Grain * ParityHeader.Grain) - ParityHeader.Grain; at > 0; at -= ParityHeader.Grain)
        {
            if (TryReadHeaderAt(@object[at..], vaultId, packId, out header, out layout))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a parity object is sound in itself and of this pack: both headers, all parity shards, and the hash of the pack.</summary>
    internal static bool IsSound(ReadOnlySpan<byte> @object, Guid vaultId, Guid packId, ReadOnlySpan<byte> pack)
    {
        if (!TryReadHeaderAt(@object, vaultId, packId, out ParityHeader header, out ParityLayout layout)
            || layout.PackLength != pack.Length || @object.Length != SizeOf(layout.PackLength, layout.Settings)
            || !@object[^header.Bytes.Length..].SequenceEqual(header.Bytes))
        {
            return false;
        }

        for (int shard = 0; shard < layout.ParityShards; shard++)
        {
            if (!IsParityThere(@object, header, layout, shard))
            {
                return false;
            }
        }

        return IsPack(header, pack);
    }

    /// <summary>Heals a pack as far as its parity reaches.</summary>
    /// <param name="pack">As many bytes as the header says; what could not be read is anything. What is healed is written into it.</param>
    /// <param name="object">The parity object; may be damaged or cut short.</param>
    /// <param name="header">Its header.</param>
    /// <param name="layout">What the header says.</param>
    internal static HealResult Heal(Span<byte> pack, ReadOnlySpan<byte> @object, ParityHeader header, ParityLayout layout)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(pack.Length, layout.PackLength);
        if (IsPack(header, pack))
        {
            return new HealResult(PackCondition.Whole, 0, 0, 0);
        }

        ReedSolomon code = new(layout.Settings.DataShards, layout.Settings.ParityShards);
        byte[] scratch = ArrayPool<byte>.Shared.Rent((layout.Settings.DataShards + layout.Settings.ParityShards) * layout.Settings.ShardSize);
        (int badShards, int badParity, int lostStripes) = (0, 0, 0);
        for (int stripe = 0; stripe < layout.Stripes; stripe++)
        {
            StripeRepair repair = new(code, layout, stripe, scratch);
            (int data, int parity) = repair.Gather(pack, @object, header);
            badShards += data;
            badParity += parity;
            lostStripes += data > 0 && !repair.TryHeal(pack) ? 1 : 0;
        }

        ArrayPool<byte>.Shared.Return(scratch);
        PackCondition condition = lostStripes > 0 ? PackCondition.BeyondParity : IsPack(header, pack) ? PackCondition.Healed : PackCondition.Contradiction;
        return new HealResult(condition, badShards, badParity, lostStripes);
    }

    /// <summary>Whether a parity shard is in the object and matches its check.</summary>
    internal static bool IsParityThere(ReadOnlySpan<byte> @object, ParityHeader header, ParityLayout layout, int shard)
    {
        int offset = header.Bytes.Length + (shard * layout.Settings.ShardSize);
        return offset + layout.Settings.ShardSize <= @object.Length
            && ShardCheck.Of(@object.Slice(offset, layout.Settings.ShardSize)) == header.Check(layout.DataShards + shard);
    }

    private static bool IsPack(ParityHeader header, ReadOnlySpan<byte> pack)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(pack, hash);
        return hash.SequenceEqual(header.PackHash);
    }

    private static int HeaderSize(ParityLayout layout) => ParityHeader.SizeOf(layout.DataShards + layout.ParityShards);

    /// <summary>Reads a header that begins here. What it says of its own length is tried, and believed when the hash agrees.</summary>
    private static bool TryReadHeaderAt(ReadOnlySpan<byte> bytes, Guid vaultId, Guid packId, out ParityHeader header, out ParityLayout layout)
    {
        layout = default;
        header = default;
        if (bytes.Length < ParityHeader.Grain || !ParityHeader.HasMagic(bytes))
        {
            return false;
        }

        ParityHeader says = new(bytes);
        if (says.ShardSize > int.MaxValue || says.PackLength is 0 or > int.MaxValue)
        {
            return false;
        }

        layout = new ParityLayout((int)says.PackLength, new ParitySettings(says.DataShards, says.ParityShards, (int)says.ShardSize));
        return !layout.Settings.IsNone && layout.Settings.IsValid && HeaderSize(layout) <= bytes.Length
            && ParityHeader.TryRead(bytes[..HeaderSize(layout)], out header)
            && header.VaultId == vaultId && header.PackId == packId;
    }
}
