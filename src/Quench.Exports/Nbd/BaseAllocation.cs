using Quench.Blocks;

namespace Quench.Exports.Nbd;

/// <summary>Where an export holds data and where it reads as zeros. (NBD protocol, "base:allocation metadata context")</summary>
internal sealed class BaseAllocation(IBlockReader device) : INbdContext
{
    internal const string ContextName = "base:allocation";
    private const uint HoleOfZeros = 3; // NBD_STATE_HOLE, NBD_STATE_ZERO

    /// <inheritdoc/>
    public string Name => ContextName;

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<NbdStatus>> GetStatusAsync(Extent range, CancellationToken cancellationToken)
    {
        IReadOnlyList<MappedExtent> map = await device.MapAsync(range, cancellationToken);
        return [.. map.Select(entry => new NbdStatus(entry.Extent.Length, entry.Kind == ExtentKind.Zero ? HoleOfZeros : 0))];
    }
}
