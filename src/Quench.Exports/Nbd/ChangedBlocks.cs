using Quench.Blocks;

namespace Quench.Exports.Nbd;

/// <summary>
/// Where an export may differ from an earlier state of the same volume: the context "quench:changed". Flag 1 says that a run may have changed, no flag that it
/// has not. So a client that holds the earlier state need only read the runs with the flag.
/// </summary>
/// <param name="changed">What may have changed; as long as the export, and not written to while it is served.</param>
public sealed class ChangedBlocks(UsedBlocks changed) : INbdContext
{
    /// <summary>Its name.</summary>
    public const string ContextName = "quench:changed";

    private const uint Changed = 1;
    private const int MaxRuns = 1024; // of one answer; the client asks on from where it stops

    /// <inheritdoc/>
    public string Name => ContextName;

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<NbdStatus>> GetStatusAsync(Extent range, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        List<NbdStatus> runs = [];
        for (long position = range.Offset; position < range.End && runs.Count < MaxRuns;)
        {
            long block = position / changed.BlockSize;
            bool isSet = changed.Bits[block];
            long next = isSet ? changed.Bits.NextClear(block) : changed.Bits.NextSet(block);
            long end = next < 0 ? range.End : Math.Min(range.End, next * changed.BlockSize);
            runs.Add(new NbdStatus(end - position, isSet ? Changed : 0));
            position = end;
        }

        return ValueTask.FromResult<IReadOnlyList<NbdStatus>>(runs);
    }
}
