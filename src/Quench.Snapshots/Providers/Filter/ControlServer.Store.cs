using Quench.Blocks;
using Quench.Snapshots.Store;

namespace Quench.Snapshots.Providers.Filter;

// What can be asked about persistent snapshots. One that is being made, and the files of open ones, belong to the connection until it ends.
internal sealed partial class ControlServer
{
    private sealed partial class Conversation
    {
        private readonly List<string> _keptFiles = [];
        private bool _isMaking;

        private KeptSnapshots Kept => server.Volume.Kept;

        private ControlReply AnswerStore(ControlRequest request)
        {
            StoreRequest store = request.Store!;
            switch (request.Op)
            {
                case "store-begin":
                    uint number = Kept.Begin(store.Folder, store.CapBytes);
                    _isMaking = true;
                    return Reply(new StoreReply { Number = number });
                case "store-list":
                    return Reply(Kept.List(store.IsMeasured));
                case "store-delete":
                    Kept.Delete(store.Number);
                    return new ControlReply();
                case "store-open":
                    (string name, string path) = Kept.OpenFile(server.Files(), server.House.NewNode(), store.Number);
                    _keptFiles.Add(name);
                    return new ControlReply { Path = path };
                case "store-expose":
                    return new ControlReply { Path = Kept.Expose(server.Session, server.House.NewNode(), store.Number) };
                case "store-unexpose":
                    Kept.Unexpose(server.Session, store.Number);
                    return new ControlReply();
                case "store-saved":
                    return Reply(Kept.Saved(store.Number, store.FromBlock, Math.Clamp(store.Limit, 1, MaxSavedExtents)));
                default:
                    return AnswerMaking(request.Op, store);
            }
        }

        private ControlReply AnswerMaking(string op, StoreRequest store)
        {
            if (!_isMaking)
            {
                throw new QuenchException("SNAP-139", $"this connection is making no snapshot, or the worker does not know \"{op}\"");
            }

            switch (op)
            {
                case "store-close-gate":
                    Kept.CloseGate(TimeSpan.FromMilliseconds(store.LimitMilliseconds));
                    break;
                case "store-take":
                    Kept.Take();
                    break;
                case "store-open-gate":
                    if (!Kept.OpenGate())
                    {
                        throw StoreErrors.GateLost(server.Directory.Name);
                    }

                    break;
                case "store-keep":
                    Kept.Keep(store);
                    _isMaking = false;
                    break;
                default:
                    throw new QuenchException("SNAP-139", $"the worker does not know \"{op}\"", "use the same version of quench that attached the volume");
            }

            return new ControlReply();
        }

        private void LetGoOfStore()
        {
            foreach (string name in _keptFiles)
            {
                Kept.CloseFile(server.Files(), name);
            }

            _keptFiles.Clear();
            if (_isMaking)
            {
                _isMaking = false;
                Kept.Abandon();
            }
        }

        private static ControlReply Reply(StoreReply reply) => new() { Store = reply };
    }
}
