using Quench.Blocks;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <content>What the worker knows of the time before the snapshot. Maps travel as files in the attachment's run folder, which is memory.</content>
internal sealed partial class FilterSnapshot
{
    /// <inheritdoc/>
    public async ValueTask<VolumeChanges> GetChangesAsync(Guid vault, CancellationToken cancellationToken)
    {
        ControlReply reply = _client.Ask(new ControlRequest { Op = "changes", Vault = vault });
        if (reply.Path is null)
        {
            return new StoredChanges(null, reply.Doubt).Decode(_volumeLength);
        }

        try
        {
            byte[] bytes = await File.ReadAllBytesAsync(reply.Path, cancellationToken);
            return new StoredChanges(bytes, reply.Doubt).Decode(_volumeLength);
        }
        catch (InvalidDataException)
        {
            return VolumeChanges.Unknown("the worker's answer about changes can't be read: it may be of another version of Quench");
        }
        finally
        {
            File.Delete(reply.Path);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="QuenchException">SNAP-150: the state can't be written; the next backup reads everything. Nothing is thrown when changes are not tracked at all.</exception>
    public async ValueTask RememberAsync(Guid vault, Guid point, UsedBlocks used, CancellationToken cancellationToken)
    {
        string path = Path.Combine(FilterDirectory.For(Volume).Folder, $"changes-{Guid.NewGuid():N}");
        try
        {
            await File.WriteAllBytesAsync(path, BlockRuns.Encode(used), cancellationToken);
            _client.Ask(new ControlRequest { Op = "remember", Vault = vault, Point = point, Path = path });
        }
        finally
        {
            File.Delete(path);
        }
    }
}
