using System.Runtime.CompilerServices;
using Quench.Vault.Format;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>
/// A store over another in which nothing is really changed: what is put lives in memory, so that a rehearsed repair finds what it has healed.
/// Parity is not kept, for nobody reads it again; of packs only the first few hundred MiB are, so a rehearsal of a great loss may promise too little.
/// </summary>
internal sealed class RehearsalStore(IObjectStore inner) : IHealingStore
{
    private const long MaxBytes = 512L << 20;
    private readonly Lock _gate = new(); // guards the two below
    private readonly Dictionary<string, byte[]> _put = new(StringComparer.Ordinal);
    private long _bytes;

    /// <inheritdoc/>
    public string Location => inner.Location;

    /// <inheritdoc/>
    public Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        Keep(name, content);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        bool free = Find(name) is null && await inner.GetAsync(name, cancellationToken) is null;
        if (free)
        {
            Keep(name, content);
        }

        return free;
    }

    /// <inheritdoc/>
    public async Task<bool> ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        bool there = Find(name) is not null || await inner.TryReadAsync(name, 0, Memory<byte>.Empty, cancellationToken);
        if (there)
        {
            Keep(name, content);
        }

        return there;
    }

    /// <inheritdoc/>
    public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) =>
        Find(name) is { } put ? Task.FromResult<byte[]?>([.. put]) : inner.GetAsync(name, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        if (Find(name) is not { } put)
        {
            return inner.TryReadAsync(name, offset, into, cancellationToken);
        }

        bool inside = offset <= put.Length - into.Length;
        if (inside)
        {
            put.AsMemory((int)offset, into.Length).CopyTo(into);
        }

        return ValueTask.FromResult(inside);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<StoredObject> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Dictionary<string, byte[]> put;
        lock (_gate)
        {
            put = new(_put, StringComparer.Ordinal);
        }

        await foreach (StoredObject found in inner.ListAsync(prefix, cancellationToken))
        {
            yield return put.Remove(found.Name, out byte[]? content) ? found with { Length = content.Length } : found;
        }

        foreach ((string name, byte[] content) in put.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal)))
        {
            yield return new StoredObject(name, content.Length);
        }
    }

    /// <inheritdoc/>
    public Task DeleteAsync(string name, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask; // the inner store stays its owner's

    private byte[]? Find(string name)
    {
        lock (_gate)
        {
            return _put.GetValueOrDefault(name);
        }
    }

    private void Keep(string name, ReadOnlyMemory<byte> content)
    {
        lock (_gate)
        {
            if (!name.StartsWith(ObjectNames.Parities, StringComparison.Ordinal) && _bytes + content.Length <= MaxBytes)
            {
                _bytes += content.Length;
                _put[name] = content.ToArray();
            }
        }
    }
}
