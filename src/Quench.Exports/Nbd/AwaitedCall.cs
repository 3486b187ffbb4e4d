using System.Runtime.CompilerServices;

namespace Quench.Exports.Nbd;

/// <summary>Waits on a thread of one's own for calls that may go on elsewhere, one after the other. Allocates nothing for each.</summary>
internal sealed class AwaitedCall
{
    private readonly Signal _ended = new();
    private readonly Action _end;

    internal AwaitedCall() => _end = _ended.Give;

#pragma warning disable VSTHRD002 // the awaiters are asked when the call has ended; and the thread that waits is nobody else's, so nothing waits for it
    /// <summary>Waits until the call has ended. What it throws is thrown.</summary>
    internal void Wait(ValueTask call)
    {
        ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter awaiter = call.ConfigureAwait(false).GetAwaiter();
        if (!awaiter.IsCompleted)
        {
            awaiter.UnsafeOnCompleted(_end);
            _ended.Await();
        }

        awaiter.GetResult();
    }

    /// <summary>Waits for a call's answer. What it throws is thrown.</summary>
    internal T Wait<T>(ValueTask<T> call)
    {
        ConfiguredValueTaskAwaitable<T>.ConfiguredValueTaskAwaiter awaiter = call.ConfigureAwait(false).GetAwaiter();
        if (!awaiter.IsCompleted)
        {
            awaiter.UnsafeOnCompleted(_end);
            _ended.Await();
        }

        return awaiter.GetResult();
    }
#pragma warning restore VSTHRD002
}
