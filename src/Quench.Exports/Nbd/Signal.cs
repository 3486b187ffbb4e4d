namespace Quench.Exports.Nbd;

/// <summary>What one thread waits for and another gives: each giving ends one wait, also a later one. Costs no handle of the system and no allocation.</summary>
internal sealed class Signal
{
    private readonly object _gate = new(); // guards the one below
    private bool _given;

    internal void Give()
    {
        lock (_gate)
        {
            _given = true;
            Monitor.Pulse(_gate);
        }
    }

    internal void Await()
    {
        lock (_gate)
        {
            while (!_given)
            {
                Monitor.Wait(_gate);
            }

            _given = false;
        }
    }
}
