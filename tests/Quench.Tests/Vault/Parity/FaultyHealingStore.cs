using Quench.Tests.Vault.Faults;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Tests.Vault.Parity;

/// <summary>A store that fails at its n-th call, replacing included: a replacement counts as the deletion that the faulty store knows.</summary>
internal sealed class FaultyHealingStore : IHealingStore
{
    private readonly Replacing _replacing;
    private readonly FaultyStore _faulty;

    internal FaultyHealingStore(MemoryStore inner, int failAt, Fault fault)
    {
        _replacing = new Replacing(inner);
        _faulty = new FaultyStore(_replacing, failAt, fault);
    }

    internal bool Fired => _faulty.Fired;

    public string Location => _faulty.Location;

    public Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => _faulty.PutAsync(name, content, cancellationToken);

    public Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => _faulty.TryPutAsync(name, content, cancellationToken);

    public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) => _faulty.GetAsync(name, cancellationToken);

    public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken) =>
        _faulty.TryReadAsync(name, offset, into, cancellationToken);

    public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => _faulty.ListAsync(prefix, cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken) => 
        name == ObjectNames.Format || RootCopies.IsRoot(name) || RootCopies.TryRootOf(name) is not null
            ? _faulty.DeleteAsync(name, cancellationToken) // a damaged root, to put it again
            : throw new InvalidOperationException("a repair deletes nothing but damaged roots");

    public async Task<bool> ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        _replacing.Content = content;
        await _faulty.DeleteAsync(name, cancellationToken);
        _replacing.Content = null;
        return _replacing.Replaced;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask; // the test keeps the inner store

    /// <summary>Turns the deletion into the replacement.</summary>
    private sealed class Replacing(MemoryStore inner) : IObjectStore
    {
        internal ReadOnlyMemory<byte>? Content { get; set; } // null: a deletion is one

        internal bool Replaced { get; private set; }

        public string Location => inner.Location;

        public Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => inner.PutAsync(name, content, cancellationToken);

        public Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => inner.TryPutAsync(name, content, cancellationToken);

        public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) => inner.GetAsync(name, cancellationToken);

        public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken) =>
            inner.TryReadAsync(name, offset, into, cancellationToken);

        public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

        public async Task DeleteAsync(string name, CancellationToken cancellationToken)
        {
            if (Content is { } content)
            {
                Replaced = await inner.ReplaceAsync(name, content, cancellationToken);
            }
            else
            {
                await inner.DeleteAsync(name, cancellationToken);
            }
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
