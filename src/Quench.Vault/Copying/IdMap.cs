namespace Quench.Vault.Copying;

/// <summary>
/// What chunks and pages of one vault are called in another: the last half million that were met, some 60 MiB. What is forgotten costs a second
/// reading, nothing else. Thread-safe.
/// </summary>
internal sealed class IdMap(int capacity = 512 * 1024)
{
    private readonly Lock _gate = new(); // guards the two below
    private readonly Dictionary<ChunkId, ChunkId> _ids = [];
    private readonly Queue<ChunkId> _order = []; // the same source ids, in the order they came

    internal bool TryFind(ChunkId source, out ChunkId target)
    {
        lock (_gate)
        {
            return _ids.TryGetValue(source, out target);
        }
    }

    internal void Add(ChunkId source, ChunkId target)
    {
        lock (_gate)
        {
            if (_ids.TryAdd(source, target))
            {
                _order.Enqueue(source);
                if (_order.Count > capacity)
                {
                    _ids.Remove(_order.Dequeue());
                }
            }
        }
    }

    internal void Clear()
    {
        lock (_gate)
        {
            _ids.Clear();
            _order.Clear();
        }
    }
}
