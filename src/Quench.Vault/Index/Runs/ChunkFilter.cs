namespace Quench.Vault.Index.Runs;

/// <summary>
/// Says of an id that it is certainly not in a run, or perhaps is: wrong about one absent id in some two hundred, never about a present one.
/// 12 bits for each id, and one cache line for each question.
/// </summary>
/// <remarks>
/// A Bloom filter in blocks of eight words; an id sets one bit in each word of one block (Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient
/// Bloom Filters", section 3). The block is the id's place among all ids, so ids asked in order walk through memory in order.
/// </remarks>
internal sealed class ChunkFilter(ulong[] words)
{
    private const int BitsPerId = 12;
    private const int WordsPerBlock = 8;
    private const int BitsPerBlock = WordsPerBlock * 64;

    private readonly uint _blocks = (uint)(words.Length / WordsPerBlock);

    internal ReadOnlySpan<ulong> Words => words;

    /// <summary>Words of a filter for so many ids.</summary>
    internal static int WordsFor(int ids) => (int)((((long)ids * BitsPerId) + BitsPerBlock - 1) / BitsPerBlock * WordsPerBlock);

    internal void Add(ChunkId id)
    {
        Span<ulong> block = words.AsSpan(BlockOf(id), WordsPerBlock);
        ulong bits = id.Second;
        for (int i = 0; i < WordsPerBlock; i++)
        {
            block[i] |= 1UL << (int)(bits & 63);
            bits >>= 6;
        }
    }

    internal bool MayHold(ChunkId id)
    {
        ReadOnlySpan<ulong> block = words.AsSpan(BlockOf(id), WordsPerBlock);
        ulong bits = id.Second;
        for (int i = 0; i < WordsPerBlock; i++)
        {
            if ((block[i] & (1UL << (int)(bits & 63))) == 0)
            {
                return false;
            }

            bits >>= 6;
        }

        return true;
    }

    private int BlockOf(ChunkId id) => (int)Math.BigMul(id.Prefix, _blocks, out _) * WordsPerBlock;
}
