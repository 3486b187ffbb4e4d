using Quench.Vault.Stores;

namespace Quench.Tests.Vault;

/// <summary>A store that counts reads of parts of objects: with one vault and nobody else, each is one chunk or one map page.</summary>
internal sealed class CountingStore(IObjectStore inner) : IObjectStore
{
    private int _reads;

    /// <summary>Parts read so far.</summary>
    internal int Reads => Volatile.Read(ref _reads);

    public string Location => inner.Location;

    public Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => inner.PutAsync(name, content, cancellationToken);

    public Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        inner.TryPutAsync(name, content, cancellationToken);

    public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) => inner.GetAsync(name, cancellationToken);

    public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _reads);
        return inner.TryReadAsync(name, offset, into, cancellationToken);
    }

    public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken) => inner.DeleteAsync(name, cancellationToken);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
