using System.Runtime.CompilerServices;
using Quench.Vault.Stores;

namespace Quench.Tests.Vault.Faults;

/// <summary>A store before whose n-th call somebody else does something, once.</summary>
internal sealed class InterruptedStore(IObjectStore inner, int at, Func<Task> what) : IObjectStore
{
    private int _calls;

    /// <summary>Whether it has happened.</summary>
    internal bool Fired => Volatile.Read(ref _calls) >= at;

    public string Location => inner.Location;

    public async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await EnterAsync();
        await inner.PutAsync(name, content, cancellationToken);
    }

    public async Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await EnterAsync();
        return await inner.TryPutAsync(name, content, cancellationToken);
    }

    public async Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken)
    {
        await EnterAsync();
        return await inner.GetAsync(name, cancellationToken);
    }

    public async ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        await EnterAsync();
        return await inner.TryReadAsync(name, offset, into, cancellationToken);
    }

    public async IAsyncEnumerable<StoredObject> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await EnterAsync();
        await foreach (StoredObject found in inner.ListAsync(prefix, cancellationToken))
        {
            yield return found;
        }
    }

    public async Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await EnterAsync();
        await inner.DeleteAsync(name, cancellationToken);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask; // the test keeps the inner store

    private Task EnterAsync() => Interlocked.Increment(ref _calls) == at ? what() : Task.CompletedTask;
}
