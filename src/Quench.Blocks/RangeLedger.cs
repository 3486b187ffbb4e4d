namespace Quench.Blocks;

/// <summary>
/// Byte ranges in flight, and who waits on them. Whoever holds a range has every byte of it alone; ranges that do not overlap are held
/// at once. Waiters go first come, first served among those that overlap, so nobody starves.
/// </summary>
/// <remarks>Thread-safe. Cost grows with the number of ranges in flight, which queues keep to some tens.</remarks>
public sealed class RangeLedger
{
    private readonly Lock _gate = new();             // guards the list below, and each entry's state
    private readonly LinkedList<Entry> _entries = new(); // held and waiting, in order of arrival; an entry waits on those before it that overlap

    /// <summary>Ranges held or waited for now. Zero when all work is done.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _entries.Count;
            }
        }
    }

    /// <summary>Waits until nobody who came earlier has any byte of the range, then holds it.</summary>
    /// <param name="range">What to hold; an empty range never waits.</param>
    /// <param name="cancellationToken">Gives up waiting; nothing is held then.</param>
    /// <returns>The hold. Dispose it to let the next in line go on.</returns>
    public async ValueTask<Hold> HoldAsync(Extent range, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Entry entry = new(range);
        lock (_gate)
        {
            LinkedListNode<Entry> node = _entries.AddLast(entry);
            entry.Node = node;
            if (MayRun(node))
            {
                return new Hold(this, entry);
            }

            entry.Turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        try
        {
            await entry.Turn.Task.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            Release(entry);
            throw;
        }

        return new Hold(this, entry);
    }

    private void Release(Entry entry)
    {
        lock (_gate)
        {
            if (entry.Node is not { } node)
            {
                return;
            }

            entry.Node = null;
            LinkedListNode<Entry>? next = node.Next;
            _entries.Remove(node);
            for (; next is not null; next = next.Next)
            {
                if (next.Value.Range.Overlaps(entry.Range) && MayRun(next))
                {
                    next.Value.Turn?.TrySetResult();
                }
            }
        }
    }

    private static bool MayRun(LinkedListNode<Entry> node)
    {
        for (LinkedListNode<Entry>? earlier = node.Previous; earlier is not null; earlier = earlier.Previous)
        {
            if (earlier.Value.Range.Overlaps(node.Value.Range))
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

        internal Hold(RangeLedger ledger, Entry entry)
        {
            _ledger = ledger;
            _entry = entry;
        }

        /// <summary>What is held.</summary>
        public Extent Range => _entry.Range;

        /// <inheritdoc/>
        public void Dispose() => _ledger.Release(_entry);

        /// <inheritdoc/>
        public bool Equals(Hold other) => ReferenceEquals(_entry, other._entry);

        /// <inheritdoc/>
        public override bool Equals(object? obj) => obj is Hold other && Equals(other);

        /// <inheritdoc/>
        public override int GetHashCode() => _entry.GetHashCode();

        /// <summary>Whether two are the same hold.</summary>
        public static bool operator ==(Hold left, Hold right) => left.Equals(right);

        /// <summary>Whether two are different holds.</summary>
        public static bool operator !=(Hold left, Hold right) => !left.Equals(right);
    }

    internal sealed class Entry(Extent range)
    {
        internal Extent Range { get; } = range;

        internal LinkedListNode<Entry>? Node { get; set; } // null once released

        internal TaskCompletionSource? Turn { get; set; }  // null when it never had to wait
    }
}
