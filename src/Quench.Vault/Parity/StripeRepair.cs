using Quench.Vault.Format;

namespace Quench.Vault.Parity;

/// <summary>One stripe of a pack, gathered into memory of the caller's, healed there, and put back.</summary>
internal ref struct StripeRepair(ReedSolomon code, ParityLayout layout, int stripe, Span<byte> scratch)
{
    private readonly int _shardSize = layout.Settings.ShardSize;
    private readonly int _dataShards = layout.Settings.DataShards;
    private readonly Span<byte> _shards = scratch;
    private readonly int[] _missing = new int[layout.Settings.DataShards + layout.Settings.ParityShards];
    private int _missingCount;

    /// <summary>Collects the stripe's shards and finds those that don't match their checks.</summary>
    /// <returns>How many of the pack's, and how many of the parity's.</returns>
    internal (int Data, int Parity) Gather(ReadOnlySpan<byte> pack, ReadOnlySpan<byte> parity, ParityHeader header)
    {
        _missingCount = 0;
        for (int position = 0; position < _dataShards; position++)
        {
            int shard = Shard(position);
            Span<byte> place = Place(position);
            place.Clear();
            if (shard < layout.DataShards)
            {
                ReadOnlySpan<byte> data = pack[layout.DataRange(shard)];
                data.CopyTo(place);
                Note(position, ShardCheck.Of(data) == header.Check(shard));
            }
        }

        int badData = _missingCount;
        for (int row = 0; row < layout.Settings.ParityShards; row++)
        {
            int shard = (row * layout.Stripes) + stripe;
            bool there = PackParity.IsParityThere(parity, header, layout, shard);
            Note(_dataShards + row, there);
            if (there)
            {
                parity.Slice(header.Bytes.Length + (shard * _shardSize), _shardSize).CopyTo(Place(_dataShards + row));
            }
        }

        return (badData, _missingCount - badData);
    }

    /// <summary>Computes the missing shards and puts those of the pack back.</summary>
    /// <returns>False when too many are missing; the pack is as it was then.</returns>
    internal readonly bool TryHeal(Span<byte> pack)
    {
        ReadOnlySpan<int> missing = _missing.AsSpan(0, _missingCount);
        if (!code.TryRepair(_shards, _shardSize, missing))
        {
            return false;
        }

        foreach (int position in missing)
        {
            if (position < _dataShards)
            {
                Span<byte> data = pack[layout.DataRange(Shard(position))];
                Place(position)[..data.Length].CopyTo(data);
            }
        }

        return true;
    }

    private readonly int Shard(int position) => (position * layout.Stripes) + stripe;

    private readonly Span<byte> Place(int shard) => _shards.Slice(shard * _shardSize, _shardSize);

    private void Note(int shard, bool isThere)
    {
        if (!isThere)
        {
            _missing[_missingCount++] = shard;
        }
    }
}
