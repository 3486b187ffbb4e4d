using Quench.Vault.Stores;

namespace Quench.Tests.Imaging;

/// <summary>A store that at some object's writing stops answering, and does not listen to being cancelled, until it is let.</summary>
/// <param name="inner">What is behind it.</param>
internal sealed class StuckStore(IObjectStore inner) : IObjectStore
{
    private readonly TaskCompletionSource _stuck = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _let = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Objects whose name begins so are not written before <see cref="Let"/>; null while all is well.</summary>
    public string? Prefix { get; set; }

    public string Location => inner.Location;

    /// <summary>Completes when somebody is stuck.</summary>
    public Task Stuck => _stuck.Task;

    public void Let() => _let.TrySetResult();

    public async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await WaitAsync(name);
        await inner.PutAsync(name, content, cancellationToken);
    }

    public async Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await WaitAsync(name);
        return await inner.TryPutAsync(name, content, cancellationToken);
    }

    public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) => inner.GetAsync(name, cancellationToken);

    public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken) =>
        inner.TryReadAsync(name, offset, into, cancellationToken);

    public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken) => inner.DeleteAsync(name, cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask; // the test keeps the inner store

    private async Task WaitAsync(string name)
    {
        if (Prefix is not null && name.StartsWith(Prefix, StringComparison.Ordinal))
        {
            _stuck.TrySetResult();
            await _let.Task;
        }
    }
}
