namespace Quench.Vault.Index;

/// <summary>The chunks that a session has taken on to store, each claimed once and added once. Thread-safe.</summary>
internal sealed class ClaimTable
{
    private readonly Lock _gate = new(); // guards the three below
    private readonly IdTable _ids = new();
    private readonly List<bool> _added = []; // by ordinal
    private long _outstanding;

    /// <summary>Claimed and not added.</summary>
    internal long Outstanding
    {
        get
        {
            lock (_gate)
            {
                return _outstanding;
            }
        }
    }

    /// <summary>Claims a chunk.</summary>
    /// <returns>False when somebody has.</returns>
    internal bool TryClaim(ChunkId id)
    {
        lock (_gate)
        {
            if (!_ids.TryAdd(id, out _))
            {
                return false;
            }

            _added.Add(false);
            _outstanding++;
            return true;
        }
    }

    /// <summary>Counts a claimed chunk as added.</summary>
    /// <returns>False when it was never claimed, or added before.</returns>
    internal bool TryFulfil(ChunkId id)
    {
        lock (_gate)
        {
            int ordinal = _ids.Find(id);
            if (ordinal < 0 || _added[ordinal])
            {
                return false;
            }

            _added[ordinal] = true;
            _outstanding--;
            return true;
        }
    }
}
