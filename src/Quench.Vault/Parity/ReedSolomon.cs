namespace Quench.Vault.Parity;

/// <summary>
/// The code of one stripe: k data shards, m parity shards, and any m of them may be missing. Systematic, with the rows of a Cauchy matrix,
/// of which every square part can be inverted (Blömer, Kalfane, Karp, Karpinski, Luby and Zuckerman, "An XOR-Based Erasure-Resilient Coding
/// Scheme", ICSI TR-95-048, section 4), its columns scaled so that the first row is all ones. Immutable, so any thread may use it; encoding
/// and repairing allocate nothing. (docs/vault-format.md §6.5)
/// </summary>
internal sealed class ReedSolomon
{
    internal const int MaxParity = 32;
    private readonly byte[] _factors; // m rows of k: what each data shard is multiplied by for each parity shard

    internal ReedSolomon(int dataShards, int parityShards)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(dataShards);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(parityShards);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(parityShards, MaxParity);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(dataShards + parityShards, 256);
        DataShards = dataShards;
        ParityShards = parityShards;
        _factors = new byte[dataShards * parityShards];
        for (int row = 0; row < parityShards; row++)
        {
            for (int column = 0; column < dataShards; column++)
            {
                // 1 / (x_row + y_column), divided by the same of row 0; x_i = 255 − i, y_j = j.
                _factors[(row * dataShards) + column] =
                    GaloisField.Multiply((byte)(255 ^ column), GaloisField.Inverse((byte)((255 - row) ^ column)));
            }
        }
    }

    internal int DataShards { get; }

    internal int ParityShards { get; }

    /// <summary>What a data shard is multiplied by on its way into a parity shard.</summary>
    internal byte Factor(int parity, int data) => _factors[(parity * DataShards) + data];

    /// <summary>Computes the parity of k shards that lie one behind the other.</summary>
    /// <param name="data">k shards.</param>
    /// <param name="parity">Receives m shards.</param>
    /// <param name="shardSize">Bytes of a shard.</param>
    internal void Encode(ReadOnlySpan<byte> data, Span<byte> parity, int shardSize)
    {
        for (int row = 0; row < ParityShards; row++)
        {
            Span<byte> sum = parity.Slice(row * shardSize, shardSize);
            sum.Clear();
            for (int column = 0; column < DataShards; column++)
            {
                GaloisKernel.MultiplyAdd(sum, data.Slice(column * shardSize, shardSize), Factor(row, column));
            }
        }
    }

    /// <summary>Computes shards that are missing from those that are there.</summary>
    /// <param name="shards">k data shards and m parity shards, one behind the other; the missing ones are overwritten.</param>
    /// <param name="shardSize">Bytes of a shard.</param>
    /// <param name="missing">The numbers of the missing ones, rising.</param>
    /// <returns>False when more than m are missing; nothing has changed then.</returns>
    internal bool TryRepair(Span<byte> shards, int shardSize, ReadOnlySpan<int> missing)
    {
        if (missing.Length > ParityShards)
        {
            return false;
        }

        int lost = 0; // missing data shards: the first so many of the missing
        while (lost < missing.Length && missing[lost] < DataShards)
        {
            lost++;
        }

        Span<int> rows = stackalloc int[MaxParity];
        RowsThatAreThere(missing[lost..], rows[..lost]);
        RepairData(shards, shardSize, missing[..lost], rows[..lost]);
        foreach (int parity in missing[lost..])
        {
            Span<byte> sum = shards.Slice(parity * shardSize, shardSize);
            sum.Clear();
            for (int column = 0; column < DataShards; column++)
            {
                GaloisKernel.MultiplyAdd(sum, shards.Slice(column * shardSize, shardSize), Factor(parity - DataShards, column));
            }
        }

        return true;
    }

    private void RowsThatAreThere(ReadOnlySpan<int> missingParity, Span<int> rows)
    {
        int found = 0;
        for (int row = 0; found < rows.Length; row++)
        {
            if (!missingParity.Contains(DataShards + row))
            {
                rows[found++] = row;
            }
        }
    }

    /// <summary>
    /// With L the lost shards and R as many parity rows, F_RL · d_L = p_R + F_R,others · d_others. The inverse of F_RL is multiplied into both
    /// sides first, so that each lost shard is one sum over what is there and needs no room besides its own.
    /// </summary>
    private void RepairData(Span<byte> shards, int shardSize, ReadOnlySpan<int> lost, ReadOnlySpan<int> rows)
    {
        Span<byte> inverse = stackalloc byte[MaxParity * MaxParity];
        Invert(lost, rows, inverse);
        for (int i = 0; i < lost.Length; i++)
        {
            ReadOnlySpan<byte> weights = inverse.Slice(i * lost.Length, lost.Length);
            Span<byte> sum = shards.Slice(lost[i] * shardSize, shardSize);
            sum.Clear();
            for (int r = 0; r < rows.Length; r++)
            {
                GaloisKernel.MultiplyAdd(sum, shards.Slice((DataShards + rows[r]) * shardSize, shardSize), weights[r]);
            }

            for (int column = 0; column < DataShards; column++)
            {
                if (!lost.Contains(column))
                {
                    GaloisKernel.MultiplyAdd(sum, shards.Slice(column * shardSize, shardSize), Weigh(rows, weights, column));
                }
            }
        }
    }

    private byte Weigh(ReadOnlySpan<int> rows, ReadOnlySpan<byte> weights, int column)
    {
        byte weight = 0;
        for (int r = 0; r < rows.Length; r++)
        {
            weight ^= GaloisField.Multiply(weights[r], Factor(rows[r], column));
        }

        return weight;
    }

    /// <summary>Inverts the rows' factors of the lost shards, by elimination beside the identity. It can't fail: the matrix is Cauchy's.</summary>
    private void Invert(ReadOnlySpan<int> lost, ReadOnlySpan<int> rows, Span<byte> inverse)
    {
        int size = lost.Length;
        Span<byte> matrix = stackalloc byte[MaxParity * MaxParity];
        for (int r = 0; r < size; r++)
        {
            for (int c = 0; c < size; c++)
            {
                matrix[(r * size) + c] = Factor(rows[r], lost[c]);
                inverse[(r * size) + c] = r == c ? (byte)1 : (byte)0;
            }
        }

        // All leading square parts can be inverted, so no pivot is ever zero and no rows change places.
        for (int pivot = 0; pivot < size; pivot++)
        {
            byte scale = GaloisField.Inverse(matrix[(pivot * size) + pivot]);
            Scale(matrix.Slice(pivot * size, size), scale);
            Scale(inverse.Slice(pivot * size, size), scale);
            for (int r = 0; r < size; r++)
            {
                byte factor = matrix[(r * size) + pivot];
                if (r != pivot && factor != 0)
                {
                    GaloisKernel.MultiplyAdd(GaloisWay.Scalar, matrix.Slice(r * size, size), matrix.Slice(pivot * size, size), factor);
                    GaloisKernel.MultiplyAdd(GaloisWay.Scalar, inverse.Slice(r * size, size), inverse.Slice(pivot * size, size), factor);
                }
            }
        }
    }

    private static void Scale(Span<byte> row, byte factor)
    {
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = GaloisField.Multiply(row[i], factor);
        }
    }
}
