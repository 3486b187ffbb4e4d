using Quench.Blocks;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>A conversation with a volume's worker about its persistent snapshots. Synchronous: some of it is said while file systems are frozen.</summary>
internal sealed class StoreClient : IDisposable
{
    private readonly ControlClient _client;
    private uint _number;

    private StoreClient(AttachedVolume volume, ControlClient client)
    {
        Volume = volume;
        _client = client;
    }

    internal AttachedVolume Volume { get; }

    /// <exception cref="QuenchException">SNAP-131: nobody answers.</exception>
    internal static StoreClient Connect(AttachedVolume volume) => new(volume, ControlClient.Connect(volume.Name));

    internal void Begin(KeepOptions options)
    {
        string? folder = options.StoreFolder is null ? null : Path.GetFullPath(options.StoreFolder);
        _number = Ask("store-begin", new StoreRequest { Folder = folder, CapBytes = options.StoreBytes ?? 0 }).Number;
    }

    internal void CloseGate(TimeSpan limit) => AskPlain("store-close-gate", new StoreRequest { LimitMilliseconds = limit.TotalMilliseconds });

    internal void Take() => AskPlain("store-take", new StoreRequest());

    internal void OpenGate() => AskPlain("store-open-gate", new StoreRequest());

    internal KeptSnapshot Keep(string label, DateTimeOffset instant, SnapshotGrade grade, KeptSet set)
    {
        Guid id = Guid.NewGuid();
        AskPlain("store-keep", new StoreRequest { Label = label, Instant = instant, Grade = grade, Id = id, Set = set });
        return new KeptSnapshot(Volume.Name, _number, label, instant, grade, Gone: null, AloneBytes: 0, SharedBytes: 0, Device: null) { Id = id, Set = set };
    }

    internal StoreReply Ask(string op, StoreRequest request) => AskPlain(op, request).Store!;

    internal ControlReply AskPlain(string op, StoreRequest request) => _client.Ask(new ControlRequest { Op = op, Store = request });

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();
}
