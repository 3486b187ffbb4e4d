using System.Threading.Tasks.Sources;

namespace Quench.Exports.Nbd;

/// <summary>
/// One thing that many want and one has at a time, first come, first served. Whoever waits brings its own <see cref="Turn"/>, so the queue allocates nothing.
/// Thread-safe.
/// </summary>
internal sealed class TurnQueue
{
    private readonly Lock _gate = new(); // guards all below, and what a turn says of itself
    private Turn? _first;
    private Turn? _last;
    private bool _taken;

    /// <summary>Whether somebody waits.</summary>
    internal bool HasWaiters => Volatile.Read(ref _first) is not null;

    /// <summary>Waits for the turn. Awaited once, before the same turn is brought again.</summary>
    internal ValueTask TakeAsync(Turn turn)
    {
        lock (_gate)
        {
            if (!_taken)
            {
                _taken = true;
                return ValueTask.CompletedTask;
            }

            if (_last is null)
            {
                Volatile.Write(ref _first, turn);
            }
            else
            {
                _last.Next = turn;
            }

            _last = turn;
            return turn.WaitAsync();
        }
    }

    /// <summary>Ends the turn; the next in line has it then.</summary>
    internal void Release()
    {
        Turn next;
        lock (_gate)
        {
            if (_first is null)
            {
                _taken = false;
                return;
            }

            next = _first;
            Volatile.Write(ref _first, next.Next);
            next.Next = null;
            if (_first is null)
            {
                _last = null;
            }
        }

        next.Come();
    }

    /// <summary>A place in a queue, used again and again by one lane. It goes on upon another thread than the one that let it.</summary>
    internal sealed class Turn : IValueTaskSource, IThreadPoolWorkItem
    {
        private ManualResetValueTaskSourceCore<bool> _coming; // mutable struct: must not be readonly

        internal Turn? Next { get; set; }

        internal ValueTask WaitAsync()
        {
            _coming.Reset();
            return new ValueTask(this, _coming.Version);
        }

        internal void Come() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

        void IThreadPoolWorkItem.Execute() => _coming.SetResult(true);

        void IValueTaskSource.GetResult(short token) => _coming.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _coming.GetStatus(token);

        void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _coming.OnCompleted(continuation, state, token, flags);
    }
}
