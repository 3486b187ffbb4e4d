namespace Quench.Imaging.Activity.Writers;

/// <summary>
/// For each span of some length, beginning at each second, how many different blocks are written in it: what a snapshot that lasts so long must save at most. Not thread-safe.
/// </summary>
/// <remarks>
/// A block that is written in second t, and was written before in second p, is a new one for just those spans that begin after p and not after t, and reach t. So a write is one addition at either
/// end of that range of beginnings, whatever the length of the span; the sums follow in one pass at the end. One number is kept for each block that was ever written: 0.1 % of their bytes.
/// </remarks>
internal sealed class DistinctBlocks
{
    /// <summary>Bytes of a block.</summary>
    public const int BlockBytes = 4096;

    private const int PageBlocks = 1 << 12;

    private readonly int[] _windows;
    private readonly List<long>[] _changes;                 // for each window: by how much the count of a span that begins here differs from the one before
    private readonly Dictionary<long, int[]> _lastWritten = []; // for each run of blocks: the second in which each was written last, plus 1; 0 for never
    private int _newest;

    /// <summary>Nothing written yet.</summary>
    /// <param name="windows">Lengths of spans, in seconds; each at least 1.</param>
    public DistinctBlocks(ReadOnlySpan<int> windows)
    {
        _windows = windows.ToArray();
        _changes = [.. _windows.Select(_ => new List<long>())];
    }

    /// <summary>Different blocks that were ever written.</summary>
    public long Total { get; private set; }

    /// <summary>Notes that bytes were written.</summary>
    /// <param name="second">Since the start. One that is before the newest counts as the newest: events of two processors may change places.</param>
    /// <param name="offset">Where.</param>
    /// <param name="length">How many bytes.</param>
    public void Add(int second, long offset, long length)
    {
        if (length <= 0)
        {
            return;
        }

        _newest = Math.Max(_newest, second);
        long last = (offset + length - 1) / BlockBytes;
        for (long block = offset / BlockBytes; block <= last; block++)
        {
            ref int written = ref PageOf(block)[block % PageBlocks];
            if (written != _newest + 1)
            {
                Total += written == 0 ? 1 : 0;
                Count(written);
                written = _newest + 1;
            }
        }
    }

    /// <summary>The count of each span of one length that lies within the time, by the second in which it begins.</summary>
    /// <param name="window">Which of the lengths.</param>
    /// <param name="seconds">How long was watched in all.</param>
    /// <returns>Empty when the spans are longer than that.</returns>
    public long[] CountSpans(int window, int seconds)
    {
        int index = Array.IndexOf(_windows, window);
        long[] counts = new long[Math.Max(0, seconds - window + 1)];
        long sum = 0;
        for (int begin = 0; begin < counts.Length; begin++)
        {
            sum += begin < _changes[index].Count ? _changes[index][begin] : 0;
            counts[begin] = sum;
        }

        return counts;
    }

    private int[] PageOf(long block)
    {
        if (!_lastWritten.TryGetValue(block / PageBlocks, out int[]? page))
        {
            page = new int[PageBlocks];
            _lastWritten.Add(block / PageBlocks, page);
        }

        return page;
    }

    /// <summary>Counts a block that is written in the newest second for the spans in which it is new: those that begin in the given second or later.</summary>
    private void Count(int fromSecond)
    {
        for (int index = 0; index < _windows.Length; index++)
        {
            List<long> changes = _changes[index];
            while (changes.Count < _newest + 2)
            {
                changes.Add(0);
            }

            changes[Math.Max(fromSecond, _newest - _windows[index] + 1)]++;
            changes[_newest + 1]--;
        }
    }
}
