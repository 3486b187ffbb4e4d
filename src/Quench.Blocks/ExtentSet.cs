using System.Collections;
using System.Diagnostics;

namespace Quench.Blocks;

/// <summary>
/// A set of bytes kept as sorted extents that neither touch nor overlap. Looking up costs O(log n), adding or removing at the end O(1)
/// and elsewhere O(n) moves. Not thread-safe.
/// </summary>
public sealed class ExtentSet : IReadOnlyList<Extent>
{
    private readonly List<Extent> _extents = []; // sorted; no two touch or overlap; none empty

    /// <summary>The empty set.</summary>
    public ExtentSet()
    {
    }

    /// <summary>The set of the bytes in these extents, in any order, overlapping or not.</summary>
    public ExtentSet(IEnumerable<Extent> extents)
    {
        foreach (Extent extent in extents)
        {
            Add(extent);
        }
    }

    /// <summary>How many separate extents.</summary>
    public int Count => _extents.Count;

    /// <summary>How many bytes.</summary>
    public long TotalLength
    {
        get
        {
            long sum = 0;
            foreach (Extent extent in _extents)
            {
                sum += extent.Length;
            }

            return sum;
        }
    }

    /// <summary>The extent at a position in order of offset.</summary>
    public Extent this[int index] => _extents[index];

    /// <summary>Puts the bytes of an extent in.</summary>
    public void Add(Extent extent)
    {
        if (extent.IsEmpty)
        {
            return;
        }

        int first = FirstEndingAtOrAfter(extent.Offset);
        int last = first;
        long start = extent.Offset;
        long end = extent.End;
        while (last < _extents.Count && _extents[last].Offset <= end)
        {
            start = Math.Min(start, _extents[last].Offset);
            end = Math.Max(end, _extents[last].End);
            last++;
        }

        Replace(first, last, Extent.FromTo(start, end), null);
    }

    /// <summary>Takes the bytes of an extent out.</summary>
    public void Remove(Extent extent)
    {
        if (extent.IsEmpty)
        {
            return;
        }

        int first = FirstEndingAtOrAfter(extent.Offset + 1);
        int last = first;
        Extent? before = null;
        Extent? after = null;
        while (last < _extents.Count && _extents[last].Offset < extent.End)
        {
            Extent present = _extents[last];
            if (present.Offset < extent.Offset)
            {
                before = Extent.FromTo(present.Offset, extent.Offset);
            }

            if (present.End > extent.End)
            {
                after = Extent.FromTo(extent.End, present.End);
            }

            last++;
        }

        Replace(first, last, before, after);
    }

    /// <summary>Whether a byte is in.</summary>
    public bool Contains(long offset)
    {
        int index = FirstEndingAtOrAfter(offset + 1);
        return index < _extents.Count && _extents[index].Offset <= offset;
    }

    /// <summary>Whether all bytes of an extent are in; true for an empty one.</summary>
    public bool Contains(Extent extent)
    {
        if (extent.IsEmpty)
        {
            return true;
        }

        int index = FirstEndingAtOrAfter(extent.Offset + 1);
        return index < _extents.Count && _extents[index].Contains(extent);
    }

    /// <summary>Whether any byte of an extent is in.</summary>
    public bool Overlaps(Extent extent)
    {
        int index = FirstEndingAtOrAfter(extent.Offset + 1);
        return index < _extents.Count && _extents[index].Overlaps(extent);
    }

    /// <summary>The parts of an extent that are in, in order.</summary>
    public IEnumerable<Extent> Within(Extent extent)
    {
        for (int index = FirstEndingAtOrAfter(extent.Offset + 1); index < _extents.Count && _extents[index].Offset < extent.End; index++)
        {
            Extent part = _extents[index].Intersect(extent);
            if (!part.IsEmpty)
            {
                yield return part;
            }
        }
    }

    /// <summary>The parts of an extent that are not in, in order.</summary>
    public IEnumerable<Extent> Outside(Extent extent)
    {
        long position = extent.Offset;
        foreach (Extent part in Within(extent))
        {
            if (part.Offset > position)
            {
                yield return Extent.FromTo(position, part.Offset);
            }

            position = part.End;
        }

        if (position < extent.End)
        {
            yield return Extent.FromTo(position, extent.End);
        }
    }

    /// <summary>Empties the set.</summary>
    public void Clear() => _extents.Clear();

    /// <inheritdoc/>
    public IEnumerator<Extent> GetEnumerator() => _extents.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private int FirstEndingAtOrAfter(long offset)
    {
        int low = 0;
        int high = _extents.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_extents[middle].End < offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    /// <summary>Puts at most two extents in the place of those from <paramref name="first"/> up to <paramref name="last"/>.</summary>
    private void Replace(int first, int last, Extent? one, Extent? other)
    {
        int given = (one is null ? 0 : 1) + (other is null ? 0 : 1);
        int present = last - first;
        if (present > given)
        {
            _extents.RemoveRange(first, present - given);
        }

        for (int missing = present; missing < given; missing++)
        {
            _extents.Insert(first, default);
        }

        int position = first;
        if (one is { } head)
        {
            _extents[position++] = head;
        }

        if (other is { } tail)
        {
            _extents[position] = tail;
        }

        Debug.Assert(first == 0 || first >= _extents.Count || _extents[first - 1].End < _extents[first].Offset, "extents must not touch");
    }
}
