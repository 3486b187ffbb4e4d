namespace Quench.Snapshots.Tracking;

/// <content>Checkpoints: making exact changes durable, so that regions that have become quiet need no intent any more.</content>
internal sealed partial class ChangeTracker
{
    private readonly ChangeMap _staging;  // the copy that the running checkpoint tells
    private Generation? _copied;          // whose map the copy is; null when no checkpoint runs
    private long _durableSequence;        // guarded by _gate

    /// <summary>The sequence number that the next checkpoint bears.</summary>
    internal long NextSequence => _durableSequence + 1;

    /// <summary>Whether a checkpoint would make anything better: something was written that the last one does not tell, or some region is still guarded.</summary>
    internal bool NeedsCheckpoint
    {
        get
        {
            if (!_guarding)
            {
                return false;
            }

            Generation generation = _generation;
            for (int region = 0; region < generation.Changed.Regions; region++)
            {
                if (generation.Changed[region] != generation.Covered[region])
                {
                    return true;
                }
            }

            return CountArmed() != 0;
        }
    }

    /// <summary>
    /// First step: takes the guard from the regions in which nothing new was written since the last checkpoint. A writer that comes now finds no
    /// guard and asks for it again; one that came before has set its bit, and the copy will have it.
    /// </summary>
    internal void SelectQuiet()
    {
        while (!TrySelectQuiet())
        {
            Fold();
        }
    }

    /// <summary>Second step: copies the exact map. The marks and the copy are what the checkpoint tells.</summary>
    /// <returns>Lent until <see cref="CompleteCheckpoint"/>.</returns>
    internal ChangeMap Copy()
    {
        Interlocked.MemoryBarrier();
        _staging.CopyFrom(_copied!.Changed);
        return _staging;
    }

    /// <summary>Last step: the checkpoint is durable. What it tells needs no guard, and the quiet regions' intents may be cleared on the medium.</summary>
    internal void CompleteCheckpoint()
    {
        _copied!.Covered.UnionWith(_staging);
        _copied = null;
        lock (_gate)
        {
            _durableSequence++;
            for (int word = 0; word < _retiring.Length; word++)
            {
                if (_retiring[word] != 0)
                {
                    _wanted[word] &= ~_retiring[word];
                    _retiring[word] = 0;
                    _dirtyPages[PageOf(word * 64)] = true;
                }
            }
        }
    }

    private bool TrySelectQuiet()
    {
        lock (_gate)
        {
            if (_closed.Count > 0)
            {
                return false; // the marks do not have it yet
            }

            _copied = _generation;
            for (int word = 0; word < _armed.Length; word++)
            {
                for (ulong rest = _armed[word]; rest != 0; rest &= rest - 1)
                {
                    int region = (word * 64) + System.Numerics.BitOperations.TrailingZeroCount(rest);
                    if ((_copied.Changed[region] & ~_copied.Covered[region]) == 0)
                    {
                        Put(_armed, region, false);
                        Put(_retiring, region, true);
                    }
                }
            }

            return true;
        }
    }
}
