using Quench.Blocks;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>What a worker in pass-through says: how it is, and that there are no snapshots.</summary>
internal sealed class PassThroughConversation(WorkerHouse house) : IConversation
{
    /// <inheritdoc/>
    public bool HasDetached { get; private set; }

    /// <inheritdoc/>
    public ControlReply Answer(ControlRequest request) => request.Op switch
    {
        "ping" => new ControlReply(),
        "supervision" => house.Supervision(),
        "tracking" => new ControlReply { Doubt = house.PassThroughReason },
        "upgrade" => house.Upgrade(),
        "detach" => Detach(),
        _ => throw new QuenchException(
            "SNAP-144",
            $"volume {house.Name} is in pass-through, without snapshots: {house.PassThroughReason}",
            $"`quench volumes` shows when full service is tried again; `quench volumes upgrade {house.Name}` tries it at once")
        {
            Effect = "the volume itself works; the next backup reads everything",
            CanRetry = true,
        },
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        // It holds nothing.
    }

    private ControlReply Detach()
    {
        HasDetached = house.TryDetach();
        return HasDetached ? new ControlReply() : throw WorkerHouse.InUse(house.Name);
    }
}
