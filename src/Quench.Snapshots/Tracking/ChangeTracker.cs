using Quench.Blocks;

namespace Quench.Snapshots.Tracking;

/// <summary>
/// What changed on a volume since each of its remembered points, so that a crash can only add doubt and never lose a change. It decides and keeps
/// the books; its shell (<c>WriteTracker</c>) does the I/O, the waiting and the timing. The protocol is drawn in this room's README.
/// </summary>
/// <remarks>
/// <see cref="Mark"/> is called by any number of writers at once, without a lock. <see cref="Arm"/>, the commit and <see cref="Advance"/> take
/// a short lock. The checkpoint, <see cref="Fold"/>, <see cref="Remember"/> and <see cref="Find"/> are called by one thread at a time.
/// </remarks>
internal sealed partial class ChangeTracker
{
    /// <summary>How many vaults' points are kept; the one remembered longest ago makes room.</summary>
    internal const int MaxMarks = 8;

    private readonly long _volumeLength;
    private readonly List<VolumeMark> _marks; // the one remembered last at the end; guarded by the callers' turn

    private readonly Lock _gate = new(); // guards the two below for writing, and the sets of the write-intent map
    private readonly List<Generation> _closed = []; // ended, and not yet folded into the marks
    private volatile Generation _generation;

    private volatile bool _guarding; // some mark would be lost by a crash: writers must wait for their regions' intent

    /// <param name="volumeLength">Bytes of the volume.</param>
    /// <param name="state">The state file's id.</param>
    /// <param name="sequence">Of the checkpoint that is durable now; 0 when there is none.</param>
    /// <param name="marks">What that checkpoint and the write-intent map told.</param>
    internal ChangeTracker(long volumeLength, Guid state, long sequence, IEnumerable<VolumeMark> marks)
    {
        _volumeLength = volumeLength;
        _state = state;
        _durableSequence = sequence;
        _marks = [.. marks];
        _guarding = _marks.Count > 0;
        _generation = new Generation(volumeLength);
        _staging = new ChangeMap(volumeLength);
        int words = (ChangeMap.RegionsIn(volumeLength) + 63) / 64;
        _armed = new ulong[words];
        _requested = new ulong[words];
        _committing = new ulong[words];
        _retiring = new ulong[words];
        _wanted = new ulong[words];
        _dirtyPages = new bool[PagesFor(volumeLength)];
        Array.Fill(_dirtyPages, true); // what the file holds is another session's
    }

    /// <summary>Whether a mark is kept, so that crashes matter.</summary>
    internal bool IsGuarding => _guarding;

    internal IReadOnlyList<VolumeMark> Marks => _marks;

    /// <summary>Says that a range is about to be written, zeroed or discarded. Called when the write has been let in, and before it goes on.</summary>
    /// <returns>False when a crash could lose it: then <see cref="Arm"/>, and wait.</returns>
    internal bool Mark(Extent range)
    {
        // The order is the proof: the exact bits first, then the look at what guards them. Whoever takes a guard away does it before it copies the bits.
        Set(range);
        return IsGuarded(range);
    }

    /// <summary>First half of <see cref="Mark"/>.</summary>
    internal void Set(Extent range)
    {
        if (!range.IsEmpty)
        {
            Generation generation = _generation;
            int last = ChangeMap.LastRegion(range);
            for (int region = ChangeMap.FirstRegion(range); region <= last; region++)
            {
                generation.Changed.Add(region, ChangeMap.Mask(range, region));
            }
        }
    }

    /// <summary>Second half of <see cref="Mark"/>.</summary>
    internal bool IsGuarded(Extent range)
    {
        if (!_guarding || range.IsEmpty)
        {
            return true;
        }

        Generation generation = _generation;
        int last = ChangeMap.LastRegion(range);
        for (int region = ChangeMap.FirstRegion(range); region <= last; region++)
        {
            if (!IsGuarded(generation, region, ChangeMap.Mask(range, region)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Ends a generation at a snapshot's instant. No write is let in and not landed. Takes the same short time for any volume.</summary>
    /// <param name="fresh">Prepared beforehand.</param>
    internal void Advance(Generation fresh)
    {
        lock (_gate)
        {
            _closed.Add(_generation);
            _generation = fresh;
        }
    }

    /// <summary>Brings the marks up to the last instant.</summary>
    internal void Fold()
    {
        while (true)
        {
            Generation closed;
            lock (_gate)
            {
                if (_closed.Count == 0)
                {
                    return;
                }

                closed = _closed[0];
            }

            foreach (VolumeMark mark in _marks)
            {
                mark.Changed.UnionWith(closed.Changed);
            }

            lock (_gate)
            {
                _closed.RemoveAt(0); // only now: a checkpoint must not begin while it is half folded
            }
        }
    }

    /// <summary>What happened between a vault's mark and an instant.</summary>
    /// <param name="vault">The vault.</param>
    /// <param name="since">The generation that began at the instant.</param>
    /// <returns>Null when no mark is kept for the vault. Lent until the next call of the same turn.</returns>
    internal VolumeMark? Find(Guid vault, Generation since)
    {
        DemandCurrent(since);
        Fold();
        return _marks.Find(mark => mark.Vault == vault);
    }

    /// <summary>Keeps an instant as a vault's mark. It is kept for good with the next checkpoint.</summary>
    /// <param name="vault">The vault; its earlier mark is forgotten.</param>
    /// <param name="point">The point.</param>
    /// <param name="used">What the point holds, encoded.</param>
    /// <param name="since">The generation that began at the instant.</param>
    /// <returns>The mark that made room; null when there was room.</returns>
    internal VolumeMark? Remember(Guid vault, Guid point, byte[] used, Generation since)
    {
        DemandCurrent(since);
        Fold();
        _marks.RemoveAll(mark => mark.Vault == vault);
        VolumeMark? dropped = _marks.Count == MaxMarks ? _marks[0] : null;
        _marks.RemoveRange(0, dropped is null ? 0 : 1);
        _marks.Add(new VolumeMark { Vault = vault, Point = point, Used = used, Changed = new ChangeMap(_volumeLength) });
        _guarding = true;
        Interlocked.MemoryBarrier(); // a writer that still saw it unguarded has set its bit before the next checkpoint copies the map
        return dropped;
    }

    /// <summary>How many grains changed since a mark, up to this moment.</summary>
    internal long CountChanged(VolumeMark mark)
    {
        Fold();
        return mark.Changed.CountWith(_generation.Changed);
    }

    private bool IsGuarded(Generation generation, int region, ulong grains) =>
        !_guarding || (generation.Covered[region] & grains) == grains || Has(_armed, region);

    private void DemandCurrent(Generation since)
    {
        if (!ReferenceEquals(since, _generation))
        {
            throw new InvalidOperationException("another instant was taken since");
        }
    }
}
