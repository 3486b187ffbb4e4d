namespace Quench.SystemTests.PowerCut;

/// <summary>A disk in memory of which only what was written takes room. Thread-safe.</summary>
internal sealed class PageMap
{
    private const int PageSize = 4096;

    private readonly Lock _gate = new(); // guards the one below
    private readonly Dictionary<long, byte[]> _pages = [];

    internal void Write(long offset, ReadOnlySpan<byte> source)
    {
        lock (_gate)
        {
            while (!source.IsEmpty)
            {
                (long page, int from, int count) = Locate(offset, source.Length);
                source[..count].CopyTo(PageFor(page).AsSpan(from));
                source = source[count..];
                offset += count;
            }
        }
    }

    internal void Zero(long offset, long length)
    {
        byte[] zeros = new byte[Math.Min(length, 1 << 20)];
        for (long at = 0; at < length; at += zeros.Length)
        {
            Write(offset + at, zeros.AsSpan(0, (int)Math.Min(zeros.Length, length - at)));
        }
    }

    /// <summary>Reads; what is not here comes from below.</summary>
    internal void Read(long offset, Span<byte> into, PageMap? below = null)
    {
        lock (_gate)
        {
            while (!into.IsEmpty)
            {
                (long page, int from, int count) = Locate(offset, into.Length);
                Span<byte> part = into[..count];
                if (_pages.TryGetValue(page, out byte[]? bytes))
                {
                    bytes.AsSpan(from, count).CopyTo(part);
                }
                else if (below is not null)
                {
                    below.Read(offset, part);
                }
                else
                {
                    part.Clear();
                }

                into = into[count..];
                offset += count;
            }
        }
    }

    /// <summary>Writes over a disk that lies below: pages that are touched for the first time are taken from there.</summary>
    internal void WriteOver(PageMap below, long offset, ReadOnlySpan<byte> source)
    {
        lock (_gate)
        {
            while (!source.IsEmpty)
            {
                (long page, int from, int count) = Locate(offset, source.Length);
                if (!_pages.ContainsKey(page) && count < PageSize)
                {
                    byte[] old = new byte[PageSize];
                    below.Read(page * PageSize, old);
                    _pages.Add(page, old);
                }

                source[..count].CopyTo(PageFor(page).AsSpan(from));
                source = source[count..];
                offset += count;
            }
        }
    }

    /// <summary>A disk of its own with the same bytes.</summary>
    internal PageMap Clone()
    {
        PageMap copy = new();
        lock (_gate)
        {
            foreach ((long page, byte[] bytes) in _pages)
            {
                copy._pages.Add(page, bytes.AsSpan().ToArray());
            }
        }

        return copy;
    }

    private static (long Page, int From, int Count) Locate(long offset, int length)
    {
        int from = (int)(offset % PageSize);
        return (offset / PageSize, from, Math.Min(length, PageSize - from));
    }

    private byte[] PageFor(long page)
    {
        if (!_pages.TryGetValue(page, out byte[]? bytes))
        {
            bytes = new byte[PageSize];
            _pages.Add(page, bytes);
        }

        return bytes;
    }
}
