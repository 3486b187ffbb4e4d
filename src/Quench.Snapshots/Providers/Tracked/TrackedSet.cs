using Quench.Blocks;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>Mounted volumes on their way to one instant: all frozen, the rest of each copied, all thawed.</summary>
internal sealed class TrackedSet(IReadOnlyList<TrackedSnapshot> members, TrackedOptions options, TimeProvider clock) : IConvergingSet
{
    public IReadOnlyList<IConvergingSnapshot> Members => members;

    public ValueTask<bool> HoldAsync(IReadOnlyList<Func<UsedBlocks, ValueTask<UsedBlocks>>> choices, CancellationToken cancellationToken) =>
        TrackedHold.TakeAsync(members, choices, options, clock, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        foreach (TrackedSnapshot member in members)
        {
            await member.DisposeAsync();
        }
    }
}
