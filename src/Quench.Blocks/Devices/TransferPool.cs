using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace Quench.Blocks.Devices;

/// <summary>What a transfer does.</summary>
internal enum TransferKind
{
    Read,
    Write,
    Zero,
    Discard,
    Flush,
}

/// <summary>
/// Runs a disk's synchronous methods on the thread pool. The work items are reused, so that a call allocates nothing in the steady
/// state; the base library's own RandomAccess does the same, but hides the error number and leaves short reads to the caller
/// (docs/decisions/0002).
/// </summary>
internal sealed class TransferPool(Disk disk)
{
    private const int MaxIdle = 64;

    private readonly ConcurrentQueue<Transfer> _idle = [];

    /// <summary>Begins a transfer. The answer is awaited once.</summary>
    /// <param name="kind">What to do.</param>
    /// <param name="range">Where.</param>
    /// <param name="memory">The buffer: a destination when reading. Lent until the task completes.</param>
    /// <param name="cancellationToken">Looked at now and when the transfer's turn comes.</param>
    internal ValueTask StartAsync(TransferKind kind, Extent range, ReadOnlyMemory<byte> memory, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        if (!_idle.TryDequeue(out Transfer? transfer))
        {
            transfer = new Transfer(this);
        }

        return transfer.StartAsync(kind, range, memory, cancellationToken);
    }

    private void Run(TransferKind kind, Extent range, ReadOnlyMemory<byte> memory)
    {
        switch (kind)
        {
            case TransferKind.Read:
                disk.Read(range.Offset, MemoryMarshal.AsMemory(memory).Span);
                break;
            case TransferKind.Write:
                disk.Write(range.Offset, memory.Span);
                break;
            case TransferKind.Zero:
                disk.Zero(range);
                break;
            case TransferKind.Discard:
                _ = disk.TryDiscard(range);
                break;
            default:
                disk.Flush();
                break;
        }
    }

    private void Return(Transfer transfer)
    {
        if (_idle.Count < MaxIdle)
        {
            _idle.Enqueue(transfer);
        }
    }

    private sealed class Transfer(TransferPool owner) : IValueTaskSource, IThreadPoolWorkItem
    {
        private ManualResetValueTaskSourceCore<bool> _completion; // mutable struct: must not be readonly
        private TransferKind _kind;
        private Extent _range;
        private ReadOnlyMemory<byte> _memory;
        private CancellationToken _cancellationToken;

        internal ValueTask StartAsync(TransferKind kind, Extent range, ReadOnlyMemory<byte> memory, CancellationToken cancellationToken)
        {
            _kind = kind;
            _range = range;
            _memory = memory;
            _cancellationToken = cancellationToken;
            ValueTask answer = new(this, _completion.Version);
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            return answer;
        }

        void IThreadPoolWorkItem.Execute()
        {
            Exception? failure = null;
            try
            {
                _cancellationToken.ThrowIfCancellationRequested();
                owner.Run(_kind, _range, _memory);
            }
#pragma warning disable CA1031 // whatever happened belongs to the one who awaits, who rethrows it
            catch (Exception caught)
#pragma warning restore CA1031
            {
                failure = caught;
            }

            // Complete last: from here on the awaiting side may already have returned this object to the pool.
            _memory = default;
            _cancellationToken = default;
            if (failure is null)
            {
                _completion.SetResult(true);
            }
            else
            {
                _completion.SetException(failure);
            }
        }

        void IValueTaskSource.GetResult(short token)
        {
            try
            {
                _ = _completion.GetResult(token);
            }
            finally
            {
                _completion.Reset();
                owner.Return(this);
            }
        }

        ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _completion.GetStatus(token);

        void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _completion.OnCompleted(continuation, state, token, flags);
    }
}
