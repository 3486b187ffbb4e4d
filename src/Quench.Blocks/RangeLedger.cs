namespace Quench.Blocks;

/// <summary>
/// Byte ranges in flight, and who waits on them. Whoever holds a range has every byte of it alone; ranges that do not overlap are held
/// at once. Waiters go first come, first served among those that overlap, so nobody starves.
/// </summary>
/// <remarks>Thread-safe. Cost grows with the number of ranges in flight, which queues keep to some tens. Who need not wait allocates nothing in the steady state.</remarks>
public sealed class RangeLedger
{
    private const int MaxIdle = 64;

    private readonly Lock _gate = new(); // guards the lists below, and each entry's state
    private readonly Stack<Entry> _idle = [];
    private Entry? _first; // held and waiting, in order of arrival; an entry waits on those before it that overlap
    private Entry? _last;
    private int _count;

    /// <summary>Ranges held or waited for now. Zero when all work is done.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _count;
            }
        }
    }

    /// <summary>Waits until nobody who came earlier has any byte of the range, then holds it.</summary>
    /// <param name="range">What to hold; an empty range never waits.</param>
    /// <param name="cancellationToken">Gives up waiting; nothing is held then.</param>
    /// <returns>The hold. Dispose it to let the next in line go on.</returns>
    public ValueTask<Hold> HoldAsync(Extent range, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Hold hold;
        TaskCompletionSource turn;
        lock (_gate)
        {
            Entry entry = _idle.TryPop(out Entry? idle) ? idle : new Entry();
            entry.Range = range;
            Append(entry);
            hold = new Hold(this, entry, entry.Version, range);
            if (MayRun(entry))
            {
                return new ValueTask<Hold>(hold);
            }

            entry.Turn = turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        return WaitAsync(turn.Task, hold, cancellationToken);
    }

    private static async ValueTask<Hold> WaitAsync(Task turn, Hold hold, CancellationToken cancellationToken)
    {
        try
        {
            await turn.WaitAsync(cancellationToken);
            return hold;
        }
        catch (OperationCanceledException)
        {
            hold.Dispose();
            throw;
        }
    }

    private void Append(Entry entry)
    {
        entry.Previous = _last;
        if (_last is null)
        {
            _first = entry;
        }
        else
        {
            _last.Next = entry;
        }

        _last = entry;
        _count++;
    }

    private void Release(Entry entry, int version)
    {
        lock (_gate)
        {
            if (entry.Version != version)
            {
                return; // let go of already, and perhaps somebody else's by now
            }

            entry.Version = unchecked(version + 1);
            Extent range = entry.Range;
            Entry? next = entry.Next;
            Remove(entry);
            for (; next is not null; next = next.Next)
            {
                if (next.Range.Overlaps(range) && MayRun(next))
                {
                    next.Turn?.TrySetResult();
                }
            }
        }
    }

    private void Remove(Entry entry)
    {
        if (entry.Previous is null)
        {
            _first = entry.Next;
        }
        else
        {
            entry.Previous.Next = entry.Next;
        }

        if (entry.Next is null)
        {
            _last = entry.Previous;
        }
        else
        {
            entry.Next.Previous = entry.Previous;
        }

        (entry.Previous, entry.Next, entry.Turn) = (null, null, null);
        _count--;
        if (_idle.Count < MaxIdle)
        {
            _idle.Push(entry);
        }
    }

    private static bool MayRun(Entry entry)
    {
        for (Entry? earlier = entry.Previous; earlier is not null; earlier = earlier.Previous)
        {
            if (earlier.Range.Overlaps(entry.Range))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A range held. Disposing lets go of it; doing so twice does nothing.</summary>
    public readonly struct Hold : IDisposable, IEquatable<Hold>
    {
        private readonly RangeLedger _ledger;
        private readonly Entry _entry;
        private readonly int _version; // the entry is used again; another version is another's hold

        internal Hold(RangeLedger ledger, Entry entry, int version, Extent range)
        {
            _ledger = ledger;
            _entry = entry;
            _version = version;
            Range = range;
        }

        /// <summary>What is held.</summary>
        public Extent Range { get; }

        /// <inheritdoc/>
        public void Dispose() => _ledger.Release(_entry, _version);

        /// <inheritdoc/>
        public bool Equals(Hold other) => ReferenceEquals(_entry, other._entry) && _version == other._version;

        /// <inheritdoc/>
        public override bool Equals(object? obj) => obj is Hold other && Equals(other);

        /// <inheritdoc/>
        public override int GetHashCode() => HashCode.Combine(_entry, _version);

        /// <summary>Whether two are the same hold.</summary>
        public static bool operator ==(Hold left, Hold right) => left.Equals(right);

        /// <summary>Whether two are different holds.</summary>
        public static bool operator !=(Hold left, Hold right) => !left.Equals(right);
    }

    internal sealed class Entry
    {
        internal Extent Range { get; set; }

        internal int Version { get; set; } // grows when it is let go of

        internal Entry? Previous { get; set; }

        internal Entry? Next { get; set; }

        internal TaskCompletionSource? Turn { get; set; } // null when it never had to wait
    }
}
