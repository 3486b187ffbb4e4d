using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>A persistent snapshot that is open for reading. Disposing closes it; the snapshot stays.</summary>
public sealed class OpenSnapshot : IAsyncDisposable
{
    private readonly StoreClient _client;
    private readonly ImageFile _file;
    private readonly uint _number;

    private OpenSnapshot(StoreClient client, ImageFile file, uint number)
    {
        _client = client;
        _file = file;
        _number = number;
        Reader = new OpenSnapshotReader(file, this);
    }

    /// <summary>The volume at the snapshot's instant. A snapshot that goes meanwhile answers errors, never other bytes.</summary>
    public IBlockReader Reader { get; }

    internal static OpenSnapshot Open(AttachedVolume volume, uint number)
    {
        StoreClient client = StoreClient.Connect(volume);
        try
        {
            string path = client.AskPlain("store-open", new StoreRequest { Number = number }).Path!;
            return new OpenSnapshot(client, ImageFile.Open(path, DeviceAccess.Read, exclusive: false), number);
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>What the live volume has overwritten since the snapshot.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The extents, in order, and how much room the snapshots after it would need if they were overwritten again.</returns>
    public (IReadOnlyList<Extent> Extents, long NeededBytes, long FreeBytes) GetOverwritten(CancellationToken cancellationToken)
    {
        const int RunsAtOnce = 4096;
        List<Extent> extents = [];
        long needed = 0;
        StoreReply reply;
        long? from = 0;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            reply = _client.Ask("store-saved", new StoreRequest { Number = _number, FromBlock = from.Value, Limit = RunsAtOnce });
            long[] pairs = reply.Extents ?? [];
            for (int index = 0; index < pairs.Length; index += 2)
            {
                extents.Add(new Extent(pairs[index], pairs[index + 1]));
            }

            needed += reply.NeededBytes;
            from = reply.NextBlock;
        }
        while (from is not null);
        return (extents, needed, reply.CapBytes - reply.UsedBytes);
    }

    /// <summary>What a failed read means: the worker knows whether the snapshot is still there.</summary>
    internal Exception Explain(IOException failure)
    {
        StoreSnapshot? now = _client.Ask("store-list", new StoreRequest()).Snapshots.FirstOrDefault(snapshot => snapshot.Number == _number);
        string? gone = now is null ? "it was deleted" : now.Gone;
        return gone is null ? failure : StoreErrors.Gone(_client.Volume.Name, _number, gone, failure);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _file.DisposeAsync();
        _client.Dispose();
    }
}
