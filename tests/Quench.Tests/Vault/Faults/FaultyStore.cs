using System.Runtime.CompilerServices;
using Quench.Blocks;
using Quench.Vault.Stores;

namespace Quench.Tests.Vault.Faults;

/// <summary>How a store fails.</summary>
public enum Fault
{
    /// <summary>One call fails and does nothing.</summary>
    Once,

    /// <summary>From one call on every call fails: the medium is gone, or the process.</summary>
    Sticky,

    /// <summary>One call does its work and then fails: the answer is lost.</summary>
    LostAnswer,
}

/// <summary>A store that fails at its n-th call.</summary>
internal sealed class FaultyStore(IObjectStore inner, int failAt, Fault fault) : IObjectStore
{
    private int _calls;

    /// <summary>Whether a fault has fired.</summary>
    internal bool Fired => Volatile.Read(ref _calls) >= failAt;

    public string Location => inner.Location;

    public async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        bool lost = Enter();
        await inner.PutAsync(name, content, cancellationToken);
        Leave(lost);
    }

    public async Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        bool lost = Enter();
        bool done = await inner.TryPutAsync(name, content, cancellationToken);
        Leave(lost);
        return done;
    }

    public async Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken)
    {
        Leave(Enter());
        return await inner.GetAsync(name, cancellationToken);
    }

    public async ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Leave(Enter());
        return await inner.TryReadAsync(name, offset, into, cancellationToken);
    }

    public async IAsyncEnumerable<StoredObject> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Leave(Enter());
        await foreach (StoredObject found in inner.ListAsync(prefix, cancellationToken))
        {
            yield return found;
        }
    }

    public async Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        bool lost = Enter();
        await inner.DeleteAsync(name, cancellationToken);
        Leave(lost);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask; // the test keeps the inner store

    private bool Enter()
    {
        int call = Interlocked.Increment(ref _calls);
        return call != failAt && !(fault == Fault.Sticky && call > failAt) ? false : fault == Fault.LostAnswer ? true : throw Failure();
    }

    private static void Leave(bool lost)
    {
        if (lost)
        {
            throw Failure();
        }
    }

    private static QuenchException Failure() => new("TEST-001", "the store failed on purpose") { CanRetry = true };
}
