namespace Quench.Snapshots.Providers.Filter;

/// <summary>Neighbouring cells that go to neighbouring slots: one write.</summary>
/// <param name="Position">Of the first cell.</param>
/// <param name="FirstSlot">Where it goes.</param>
/// <param name="Count">How many.</param>
internal readonly record struct SpillRun(long Position, long FirstSlot, int Count);

/// <summary>
/// The books of the blocks that are in memory on their way to the spill file, or to the data file of a store: which cell of a ring holds which slot, and what may be written next.
/// Values in, values out: no I/O, no lock, no clock of its own; the caller holds one lock around every call.
/// </summary>
/// <remarks>
/// <code>
///                 oldest that is not done          not looked at yet          next to be given out
///   positions ──── _head ─────────────────────────── _scan ────────────────────── _tail ────▶  only ever grow
///                  │ Writing, Done, Filled, Filling    │ Filled, Filling            │
///                  └ cell of a position: position % Capacity
/// </code>
/// A slot that was freed and taken again has two cells for a while. The newer one is what a reader gets; the older one is forgotten if nobody has begun to
/// write it, and otherwise the newer one waits until that write is done: so what is in the file in the end is always the newest.
/// </remarks>
internal sealed class SpillRing
{
    private readonly CellState[] _state;
    private readonly long[] _slots;
    private readonly long[] _filledAt;
    private readonly Dictionary<long, long> _newest; // slot → position of its newest content, as long as that is not in the file
    private readonly SpillRun[] _writing;            // the runs being written; Count 0: none
    private readonly IRingMarks? _marks;             // where it is kept what a process that dies leaves in its cells
    private long _head;
    private long _scan;                              // no cell before it is Filled, but for those that _postponed leads to
    private long _tail;
    private long _postponed = long.MaxValue;         // the first Filled cell that waits for an older write of its slot

    /// <summary>An empty ring.</summary>
    /// <param name="capacity">How many cells.</param>
    /// <param name="writers">How many runs may be in writing at once.</param>
    /// <param name="marks">Kept up to date with what the cells hold; null when that need not outlive the process.</param>
    internal SpillRing(int capacity, int writers, IRingMarks? marks = null)
    {
        _marks = marks;
        _state = new CellState[capacity];
        _slots = new long[capacity];
        _filledAt = new long[capacity];
        _newest = new Dictionary<long, long>(capacity);
        _writing = new SpillRun[writers];
    }

    private enum CellState : byte
    {
        /// <summary>Nobody has it.</summary>
        Free,

        /// <summary>Given out, and being filled.</summary>
        Filling,

        /// <summary>Has its content, and is to be written.</summary>
        Filled,

        /// <summary>Being written.</summary>
        Writing,

        /// <summary>Written or not needed any more; free as soon as those before it are.</summary>
        Done,
    }

    /// <summary>How many cells there are.</summary>
    internal int Capacity => _state.Length;

    /// <summary>How many cells are filled and wait to be written.</summary>
    internal int Backlog { get; private set; }

    /// <summary>Whether no cell is in use.</summary>
    internal bool IsEmpty => _head == _tail;

    /// <summary>Takes up what is in the cells already, in a ring that has not been used.</summary>
    /// <param name="slots">By cell: the slot whose content is there; -1 for none. No slot twice.</param>
    /// <param name="now">When, in the count of <see cref="Fill"/>.</param>
    internal void Adopt(ReadOnlySpan<int> slots, long now)
    {
        for (int cell = 0; cell < slots.Length; cell++)
        {
            _state[cell] = slots[cell] < 0 ? CellState.Done : CellState.Filled;
            if (slots[cell] >= 0)
            {
                _slots[cell] = slots[cell];
                _filledAt[cell] = now;
                _newest[slots[cell]] = cell;
                Backlog++;
            }
        }

        _tail = Capacity;
        Advance();
    }

    /// <summary>Where a position's cell is.</summary>
    internal int CellOf(long position) => (int)(position % Capacity);

    /// <summary>Gives out neighbouring cells to be filled.</summary>
    /// <param name="wanted">How many would be best; at least 1.</param>
    /// <param name="position">The first one.</param>
    /// <param name="count">How many were given: 1 to <paramref name="wanted"/>.</param>
    /// <returns>False when all are in use.</returns>
    internal bool TryReserve(int wanted, out long position, out int count)
    {
        long free = Capacity - (_tail - _head);
        position = _tail;
        count = (int)Math.Min(Math.Min(wanted, free), Capacity - CellOf(_tail)); // a run does not go round the end
        for (int index = 0; index < count; index++)
        {
            _state[CellOf(position + index)] = CellState.Filling;
        }

        _tail += count;
        return count > 0;
    }

    /// <summary>Reserved cells have got the content of neighbouring slots: readers find it from now on.</summary>
    /// <param name="run">The cells and their slots.</param>
    /// <param name="now">When, in any rising count.</param>
    internal void Fill(SpillRun run, long now)
    {
        for (int index = 0; index < run.Count; index++)
        {
            long slot = run.FirstSlot + index;
            bool hasOlder = _newest.TryGetValue(slot, out long older) && _state[CellOf(older)] == CellState.Filled;
            int cell = CellOf(run.Position + index);
            _state[cell] = CellState.Filled;
            _slots[cell] = slot;
            _filledAt[cell] = now;
            _newest[slot] = run.Position + index;
            _marks?.Set(cell, slot, run.Position + index);
            if (hasOlder)
            {
                _state[CellOf(older)] = CellState.Done;
                _marks?.Clear(CellOf(older)); // only now: one of the two is marked at any time
                Backlog--;
            }
        }

        Backlog += run.Count;
        _scan = Math.Min(_scan, run.Position);
        Advance();
    }

    /// <summary>Reserved cells will not be filled.</summary>
    internal void Abandon(long position, int count)
    {
        for (int index = 0; index < count; index++)
        {
            _state[CellOf(position + index)] = CellState.Done;
        }

        Advance();
    }

    /// <summary>The next run to be written, the oldest first.</summary>
    /// <param name="most">The most cells of a run.</param>
    /// <param name="run">The run; <see cref="Complete"/> gives it back.</param>
    /// <returns>False when there is nothing that may be written now.</returns>
    internal bool TryTakeRun(int most, out SpillRun run)
    {
        run = default;
        int writer = Array.FindIndex(_writing, static one => one.Count == 0);
        for (; writer >= 0 && _scan < _tail; _scan++)
        {
            int cell = CellOf(_scan);
            if (_state[cell] != CellState.Filled)
            {
                continue;
            }

            if (IsBeingWritten(_slots[cell]))
            {
                _postponed = Math.Min(_postponed, _scan);
                continue;
            }

            run = new SpillRun(_scan, _slots[cell], CountRun(_scan, most));
            _writing[writer] = run;
            SetState(run, CellState.Writing);
            Backlog -= run.Count;
            _scan += run.Count;
            return true;
        }

        return false;
    }

    /// <summary>A run is in the file.</summary>
    /// <returns>When its oldest cell was filled.</returns>
    internal long Complete(SpillRun run)
    {
        long oldest = long.MaxValue;
        for (int index = 0; index < run.Count; index++)
        {
            long position = run.Position + index;
            oldest = Math.Min(oldest, _filledAt[CellOf(position)]);
            if (_newest.TryGetValue(run.FirstSlot + index, out long newest) && newest == position)
            {
                _newest.Remove(run.FirstSlot + index);
            }

            _marks?.Clear(CellOf(position));
        }

        SetState(run, CellState.Done);
        _writing[Array.IndexOf(_writing, run)] = default;
        _scan = Math.Min(_scan, _postponed);
        _postponed = long.MaxValue;
        Advance();
        return oldest;
    }

    /// <summary>Where the content of neighbouring slots is.</summary>
    /// <param name="slot">The first slot.</param>
    /// <param name="most">The most slots to look at; at least 1.</param>
    /// <param name="position">The first cell; -1 when they are in the file.</param>
    /// <returns>How many of them are in neighbouring cells, or in the file.</returns>
    internal int Find(long slot, int most, out long position)
    {
        if (_newest.Count == 0)
        {
            position = -1;
            return most;
        }

        bool isHere = _newest.TryGetValue(slot, out position);
        position = isHere ? position : -1;
        int count = 1;
        while (count < most && (isHere
            ? CellOf(position + count) != 0 && IsAt(slot + count, position + count)
            : !_newest.ContainsKey(slot + count)))
        {
            count++;
        }

        return count;
    }

    /// <summary>Whether a slot's newest content is still in this cell.</summary>
    internal bool IsAt(long slot, long position) => _newest.TryGetValue(slot, out long newest) && newest == position;

    /// <summary>When the oldest cell that is not in the file yet was filled; null when there is none, or it is being filled.</summary>
    internal long? OldestFilledAt =>
        _head < _tail && _state[CellOf(_head)] is CellState.Filled or CellState.Writing ? _filledAt[CellOf(_head)] : null;

    private int CountRun(long position, int most)
    {
        long slot = _slots[CellOf(position)];
        int count = 1;
        while (count < most && position + count < _tail)
        {
            int cell = CellOf(position + count);
            if (cell == 0 || _state[cell] != CellState.Filled || _slots[cell] != slot + count || IsBeingWritten(slot + count))
            {
                break;
            }

            count++;
        }

        return count;
    }

    private bool IsBeingWritten(long slot)
    {
        foreach (SpillRun run in _writing)
        {
            if (slot >= run.FirstSlot && slot < run.FirstSlot + run.Count)
            {
                return true;
            }
        }

        return false;
    }

    private void SetState(SpillRun run, CellState state)
    {
        for (int index = 0; index < run.Count; index++)
        {
            _state[CellOf(run.Position + index)] = state;
        }
    }

    /// <summary>Frees the oldest cells that are done.</summary>
    private void Advance()
    {
        while (_head < _tail && _state[CellOf(_head)] == CellState.Done)
        {
            _state[CellOf(_head)] = CellState.Free;
            _head++;
        }

        _scan = Math.Max(_scan, _head);
    }
}
