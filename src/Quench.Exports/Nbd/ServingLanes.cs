namespace Quench.Exports.Nbd;

/// <summary>
/// How many lanes of all of a server's connections are at their devices: what its processors have to do. Those that wait for a client to take its answer do
/// not count, or a client that takes none would be everybody's. Thread-safe.
/// </summary>
internal sealed class ServingLanes
{
    private int _count;

    internal int Count => Volatile.Read(ref _count);

    internal void Begin() => Interlocked.Increment(ref _count);

    internal void End() => Interlocked.Decrement(ref _count);
}
