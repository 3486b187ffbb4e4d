using System.Runtime.CompilerServices;
using Quench.Vault.Stores;

namespace Quench.Tests.Simulation.Collection;

/// <summary>A mistake of the store's, made on purpose, to prove that the simulation would see what it leads to.</summary>
public enum StoreLie
{
    None,

    /// <summary>A commit key is put although another is there: a revocation does not hold.</summary>
    CommitKeysAreOverwritten,

    /// <summary>Sessions are not listed, so nobody decides their fate.</summary>
    SessionsAreNotListed,

    /// <summary>Condemned lists are not listed, so sessions rely on what is being deleted.</summary>
    CondemnedAreNotListed,
}

/// <summary>A worker's view of a store: each call waits for the worker's turn.</summary>
internal sealed class TurnStore(MemoryStore inner, Turns turns, Worker worker, StoreLie lie) : IObjectStore
{
    public string Location => inner.Location;

    public async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await turns.WaitAsync(worker, "put " + name);
        await inner.PutAsync(name, content, cancellationToken);
    }

    public async Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await turns.WaitAsync(worker, "try to put " + name);
        if (lie == StoreLie.CommitKeysAreOverwritten && name.StartsWith("commits/", StringComparison.Ordinal))
        {
            await inner.DeleteAsync(name, cancellationToken);
        }

        return await inner.TryPutAsync(name, content, cancellationToken);
    }

    public async Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken)
    {
        await turns.WaitAsync(worker, "get " + name);
        return await inner.GetAsync(name, cancellationToken);
    }

    public async ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        await turns.WaitAsync(worker, "read " + name);
        return await inner.TryReadAsync(name, offset, into, cancellationToken);
    }

    public async IAsyncEnumerable<StoredObject> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await turns.WaitAsync(worker, "list " + prefix);
        List<StoredObject> all = [];
        await foreach (StoredObject found in inner.ListAsync(prefix, cancellationToken))
        {
            all.Add(found);
        }

        foreach (StoredObject found in all)
        {
            bool hidden = (lie == StoreLie.SessionsAreNotListed && prefix == "sessions/")
                || (lie == StoreLie.CondemnedAreNotListed && worker.Name.StartsWith("backup", StringComparison.Ordinal) && found.Name.EndsWith("/condemned", StringComparison.Ordinal));
            if (!hidden)
            {
                yield return found;
            }
        }
    }

    public async Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await turns.WaitAsync(worker, "delete " + name);
        await inner.DeleteAsync(name, cancellationToken);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
