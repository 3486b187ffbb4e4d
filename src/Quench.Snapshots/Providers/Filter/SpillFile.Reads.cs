using System.Diagnostics;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Providers.Filter;

/// <content>Reading saved blocks back: from memory while they are on their way, from the file after that.</content>
internal sealed partial class SpillFile
{
    private const int MaxLanes = 4;
    private const int PageSize = 4096;

    private readonly List<ReadLane> _lanes = new(MaxLanes);      // guarded by _gate
    private readonly Stack<ReadLane> _freeLanes = new(MaxLanes); // guarded by _gate

    /// <summary>Reads saved bytes.</summary>
    /// <param name="slot">The slot of the first block.</param>
    /// <param name="offsetInSlot">How far into it the first byte lies.</param>
    /// <param name="into">Filled from neighbouring slots.</param>
    /// <exception cref="IOException">The file was given up, or is now, because it failed or did not answer within the handling limit.</exception>
    internal void Read(long slot, int offsetInSlot, Span<byte> into)
    {
        for (int done = 0; done < into.Length;)
        {
            long at = (slot * _settings.BlockSize) + offsetInSlot + done;
            long first = at / _settings.BlockSize;
            int skip = (int)(at % _settings.BlockSize);
            int most = (skip + into.Length - done + _settings.BlockSize - 1) / _settings.BlockSize;
            int count;
            long position;
            lock (_gate)
            {
                ThrowIfGivenUp();
                count = _ring.Find(first, most, out position);
            }

            Span<byte> part = into.Slice(done, Math.Min(into.Length - done, (count * _settings.BlockSize) - skip));
            if (position < 0)
            {
                ReadFile(at, part);
                done += part.Length;
            }
            else if (TryCopy(first, position, count, skip, part))
            {
                done += part.Length;
            }
        }
    }

    /// <summary>Copies from the ring, without holding anybody up.</summary>
    /// <returns>False when a cell moved on meanwhile: its content is in the file by now.</returns>
    private bool TryCopy(long slot, long position, int count, int skip, Span<byte> into)
    {
        Cells(position, count).Slice(skip, into.Length).CopyTo(into);
        lock (_gate)
        {
            for (int index = 0; index < count; index++)
            {
                if (!_ring.IsAt(slot + index, position + index))
                {
                    return false;
                }
            }
        }

        return true;
    }

    private void ReadFile(long at, Span<byte> into)
    {
        long since = Stopwatch.GetTimestamp();
        for (int done = 0; done < into.Length;)
        {
            int skip = (int)((at + done) % PageSize);
            int length = Math.Min(into.Length - done, TransferBytes - PageSize);
            ReadLane lane = TakeLane(since);
            lane.Ask(at + done - skip, (skip + length + PageSize - 1) & ~(PageSize - 1));
            Demand(lane.Wait(_settings.HandlingLimit - Stopwatch.GetElapsedTime(since)));
            lane.Buffer.GetSpan().Slice(skip, length).CopyTo(into[done..]);
            lock (_gate)
            {
                _freeLanes.Push(lane);
                Monitor.PulseAll(_gate);
            }

            done += length;
        }
    }

    /// <summary>A lane whose read went wrong is not given back: the file is given up.</summary>
    private void Demand(string? trouble)
    {
        if (trouble is not null)
        {
            GiveUp(trouble);
            throw new IOException(trouble);
        }
    }

    private ReadLane TakeLane(long since)
    {
        lock (_gate)
        {
            while (true)
            {
                ThrowIfGivenUp();
                if (_freeLanes.TryPop(out ReadLane? free))
                {
                    return free;
                }

                if (_lanes.Count < MaxLanes)
                {
                    return AddLane();
                }

                TimeSpan left = _settings.HandlingLimit - Stopwatch.GetElapsedTime(since);
                if (left < TimeSpan.FromMilliseconds(1))
                {
                    break;
                }

                Monitor.Wait(_gate, left);
            }
        }

        Demand(TooSlow());
        throw new UnreachableException();
    }

    private ReadLane AddLane()
    {
        ReadLane lane = new(this);
        _lanes.Add(lane);
        _users++;
        new Thread(() => ReadOn(lane)) { IsBackground = true, Name = "spill-reader" }.Start();
        return lane;
    }

    /// <summary>A reader's life.</summary>
    private void ReadOn(ReadLane lane)
    {
        while (lane.TryTake(out long at, out int length))
        {
            long since = Stopwatch.GetTimestamp();
            lock (_gate)
            {
                _inKernel++;
            }

            string? trouble = null;
            _board?.BeginSpill();
            try
            {
                NativeFile.ReadExactly(_file, lane.Buffer.GetSpan()[..length], at);
            }
            catch (IOException failure)
            {
                trouble = $"the spill file can't be read: {failure.Message}";
            }

            _board?.EndSpill();
            lock (_gate)
            {
                TellIfLate(since);
            }

            lane.Finish(trouble);
        }

        Leave();
    }

    private string TooSlow() => $"the spill file did not answer a read within {_settings.HandlingLimit.TotalSeconds:0.#} s";

    /// <summary>Tells the lanes that the file was given up; with the file's lock held.</summary>
    private void WakeReaders()
    {
        foreach (ReadLane lane in _lanes)
        {
            lane.GiveUp(_trouble!, isEnd: _closed);
        }
    }

    private void FreeReaders()
    {
        foreach (ReadLane lane in _lanes)
        {
            ((IDisposable)lane.Buffer).Dispose();
        }
    }

    /// <summary>One thread that reads, with the buffer it reads into. Whoever asks it copies from there, so that a late answer goes nowhere else.</summary>
    private sealed class ReadLane(SpillFile owner)
    {
        private readonly object _turn = new(); // a monitor, taken after the file's; guards the six below
        private long _at;
        private int _length;
        private bool _isAsked;
        private bool _isReady;
        private bool _isEnd;
        private string? _trouble;

        internal NativeBuffer Buffer { get; } = new(TransferBytes, locked: true);

        internal void Ask(long at, int length)
        {
            lock (_turn)
            {
                (_at, _length, _isAsked, _isReady) = (at, length, true, false);
                Monitor.PulseAll(_turn);
            }
        }

        /// <summary>Waits for the answer.</summary>
        /// <returns>Null: it is in the buffer. Otherwise what went wrong.</returns>
        internal string? Wait(TimeSpan limit)
        {
            long since = Stopwatch.GetTimestamp();
            lock (_turn)
            {
                while (!_isReady && _trouble is null)
                {
                    TimeSpan left = limit - Stopwatch.GetElapsedTime(since);
                    if (left < TimeSpan.FromMilliseconds(1))
                    {
                        return owner.TooSlow();
                    }

                    Monitor.Wait(_turn, left);
                }

                return _trouble;
            }
        }

        internal bool TryTake(out long at, out int length)
        {
            lock (_turn)
            {
                while (!_isAsked && !_isEnd)
                {
                    Monitor.Wait(_turn);
                }

                (at, length) = (_at, _length);
                bool isAsked = _isAsked && !_isEnd;
                _isAsked = false;
                return isAsked;
            }
        }

        internal void Finish(string? trouble)
        {
            lock (_turn)
            {
                _trouble ??= trouble;
                _isReady = true;
                Monitor.PulseAll(_turn);
            }
        }

        internal void GiveUp(string trouble, bool isEnd)
        {
            lock (_turn)
            {
                _trouble ??= trouble;
                _isEnd |= isEnd;
                Monitor.PulseAll(_turn);
            }
        }
    }
}
