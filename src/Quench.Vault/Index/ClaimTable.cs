namespace Quench.Vault.Index;

/// <summary>
/// The chunks that a session has taken on to store, each claimed once and added once, until the index has them: so it holds what is on its way and
/// not all that the session stores. Thread-safe.
/// </summary>
internal sealed class ClaimTable
{
    private const int ShardBits = 4;
    private const int RoomAtFirst = 4096; // a shard's part of what goes into one index object: so it seldom grows

    private readonly Shard[] _shards = [.. Enumerable.Range(0, 1 << ShardBits).Select(_ => new Shard())];
    private long _outstanding;

    /// <summary>Claimed and not added.</summary>
    internal long Outstanding => Interlocked.Read(ref _outstanding);

    /// <summary>Claims in all, those included whose chunks have been added and are in no index object yet.</summary>
    internal int Count => _shards.Sum(shard => shard.Count);

    /// <summary>Claims a chunk.</summary>
    /// <returns>False when somebody has.</returns>
    internal bool TryClaim(ChunkId id)
    {
        if (!ShardOf(id).TryAdd(id))
        {
            return false;
        }

        Interlocked.Increment(ref _outstanding);
        return true;
    }

    /// <summary>Takes back a claim that has not been fulfilled.</summary>
    internal void Withdraw(ChunkId id)
    {
        if (ShardOf(id).TryRemove(id, added: false))
        {
            Interlocked.Decrement(ref _outstanding);
        }
    }

    /// <summary>Counts a claimed chunk as added.</summary>
    /// <returns>False when it was never claimed, or added before.</returns>
    internal bool TryFulfil(ChunkId id)
    {
        if (!ShardOf(id).TryFulfil(id))
        {
            return false;
        }

        Interlocked.Decrement(ref _outstanding);
        return true;
    }

    /// <summary>Forgets a chunk that has been added, because the index knows it from now on.</summary>
    internal void Release(ChunkId id) => ShardOf(id).TryRemove(id, added: true);

    private Shard ShardOf(ChunkId id) => _shards[id.Prefix >> (64 - ShardBits)];

    private sealed class Shard
    {
        private readonly Lock _gate = new(); // guards the one below
        private readonly Dictionary<ChunkId, bool> _claims = new(RoomAtFirst); // whether it has been added

        internal int Count
        {
            get
            {
                lock (_gate)
                {
                    return _claims.Count;
                }
            }
        }

        internal bool TryAdd(ChunkId id)
        {
            lock (_gate)
            {
                return _claims.TryAdd(id, false);
            }
        }

        internal bool TryFulfil(ChunkId id)
        {
            lock (_gate)
            {
                if (!_claims.TryGetValue(id, out bool added) || added)
                {
                    return false;
                }

                _claims[id] = true;
                return true;
            }
        }

        internal bool TryRemove(ChunkId id, bool added)
        {
            lock (_gate)
            {
                return _claims.TryGetValue(id, out bool present) && present == added && _claims.Remove(id);
            }
        }
    }
}
