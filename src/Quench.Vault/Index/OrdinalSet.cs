namespace Quench.Vault.Index;

/// <summary>
/// A set of chunks of one index, by the numbers that it gives them (<see cref="IChunkIndex.TryFind"/>): a bit each, so a set of 16 million chunks takes
/// 2 to 4 MiB. It grows as the index does. Reading from several threads is safe while nobody adds.
/// </summary>
internal sealed class OrdinalSet
{
    private ulong[] _bits = new ulong[1024];

    /// <summary>How many there are.</summary>
    internal int Count { get; private set; }

    /// <summary>Takes a chunk in.</summary>
    /// <returns>False when it was there.</returns>
    internal bool Add(int ordinal)
    {
        if (Contains(ordinal))
        {
            return false;
        }

        if (ordinal >> 6 >= _bits.Length)
        {
            Array.Resize(ref _bits, Math.Max((ordinal >> 6) + 1, _bits.Length * 2));
        }

        _bits[ordinal >> 6] |= 1UL << (ordinal & 63);
        Count++;
        return true;
    }

    /// <summary>Whether a chunk is there.</summary>
    internal bool Contains(int ordinal) => ordinal >> 6 < _bits.Length && (_bits[ordinal >> 6] >> (ordinal & 63) & 1) != 0;
}
