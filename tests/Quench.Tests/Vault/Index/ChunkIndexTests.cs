using Quench.Vault.Index;
using Quench.Vault.Index.Runs;
using Quench.Vault.Keys;
using Xunit;

namespace Quench.Tests.Vault.Index;

/// <summary>All of it in memory.</summary>
public sealed class MemoryIndexConformance : ChunkIndexConformance
{
    private protected override ChunkIndex NewIndex() => new();
}

/// <summary>So little in memory that it is written out and merged all the time.</summary>
public sealed class SpillingIndexConformance : ChunkIndexConformance, IDisposable
{
    private readonly TemporaryDirectory _folder = new();
    private readonly VaultKeys _keys = VaultKeys.From(Guid.NewGuid(), new byte[32]);

    private protected override ChunkIndex NewIndex() =>
        new(new IndexCache(_keys, _folder["cache"], _folder.Path), new IndexLimits(InMemory: 1000, Tail: 300, Remainder: 0, Runs: 4));

    public void Dispose()
    {
        Assert.Empty(Directory.Exists(_folder["cache"]) ? Directory.GetFiles(_folder["cache"]) : []); // nothing named a run: they went with the index
        _keys.Dispose();
        _folder.Dispose();
    }
}

/// <summary>The same with runs that have no names.</summary>
public sealed class NamelessIndexConformance : ChunkIndexConformance, IDisposable
{
    private readonly TemporaryDirectory _folder = new();
    private readonly VaultKeys _keys = VaultKeys.From(Guid.NewGuid(), new byte[32]);

    private protected override ChunkIndex NewIndex() =>
        new(new IndexCache(_keys, null, _folder.Path), new IndexLimits(InMemory: 500, Tail: 500, Remainder: 0, Runs: 2));

    public void Dispose()
    {
        Assert.Empty(Directory.GetFiles(_folder.Path));
        _keys.Dispose();
        _folder.Dispose();
    }
}

/// <summary>What has no room on any disk stays in memory.</summary>
public sealed class RoomlessIndexConformance : ChunkIndexConformance, IDisposable
{
    private readonly VaultKeys _keys = VaultKeys.From(Guid.NewGuid(), new byte[32]);
    private readonly List<IndexCache> _caches = [];

    private protected override ChunkIndex NewIndex()
    {
        _caches.Add(new IndexCache(_keys, "/dev/null/cache", "/dev/null/temporary"));
        return new ChunkIndex(_caches[^1], new IndexLimits(InMemory: 500, Tail: 500, Remainder: 0, Runs: 2));
    }

    public void Dispose()
    {
        Assert.All(_caches, cache => Assert.Equal(2, cache.Warnings.Count));
        _keys.Dispose();
    }
}
