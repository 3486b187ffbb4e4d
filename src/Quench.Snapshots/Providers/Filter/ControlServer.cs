using System.Collections.Concurrent;
using Quench.Blocks;
using Quench.Exports.Fuse;
using Quench.Interop.Fuse;
using Quench.Snapshots.Engine;
using Quench.Snapshots.Providers.Filter.Supervision;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// What a worker in full service answers its clients. A snapshot belongs to the connection that prepared it: when that ends, for whatever reason, the
/// snapshot is let go of and the volume pays nothing more.
/// </summary>
internal sealed partial class ControlServer(FilterDirectory directory, FilterVolume volume, FuseSession session, WorkerHouse house)
{
    private const int MaxSavedExtents = 4096;
    private const int SnapshotThreads = 6;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly SnapshotTurn _turn = new(); // taken while some connection has a snapshot prepared or active, and for good once detached
    private readonly ConcurrentDictionary<string, ActiveSnapshot> _snapshots = new(StringComparer.Ordinal); // by the name of their file: for who watches them
    private readonly Lock _filesGate = new(); // guards the one below
    private FuseSession? _files;              // shows the snapshots; made with the first one

    /// <summary>Begins with a client.</summary>
    internal IConversation Begin() => new Conversation(this);

    /// <summary>
    /// What shows the snapshots: a session apart from the volume's. A request that waits (a read of the diff area's disk, or a writer who is held until a read here has
    /// freed room) has a thread and a place in the kernel's queue, and neither may be one that the other side needs.
    /// </summary>
    private FuseSession Files()
    {
        lock (_filesGate)
        {
            if (_files is null)
            {
                System.IO.Directory.CreateDirectory(directory.Snapshots);
                FuseDevice.TryUnmount(directory.Snapshots, detach: true); // what a worker that died may have left
                _files = FuseSession.Mount(directory.Snapshots, $"quench:{directory.Name}:snapshots", SnapshotThreads, FilterWorker.Report);
            }

            return _files;
        }
    }

    /// <summary>What one client has going.</summary>
    private sealed partial class Conversation(ControlServer server) : IConversation
    {
        private ActiveSnapshot? _snapshot;
        private string? _fileName;

        public bool HasDetached { get; private set; }

        public ControlReply Answer(ControlRequest request) => request.Op switch
        {
            "ping" => new ControlReply { WriteCount = server.Volume.WriteCount },
            "quiet" => Quiet(request),
            "watch" => Watch(request),
            "prepare" => Prepare(request),
            "close-gate" => CloseGate(request),
            "activate" => Activate(request),
            "status" => Status(),
            "saved" => Saved(request),
            "changes" => Changes(request),
            "remember" => Remember(request),
            "tracking" => Tracking(),
            "end" => End(),
            "detach" => Detach(),
            "supervision" => server.House.Supervision(),
            "upgrade" => Upgrade(),
            "hang" when TestPoint.Exists => server.Volume.WithEngine(static _ => TestPoint.Hang()),
            _ when request.Store is not null => AnswerStore(request),
            _ => new ControlReply { Code = "SNAP-139", Message = $"the worker does not know \"{request.Op}\"", Next = "use the same version of quench that attached the volume" },
        };

        public void Dispose()
        {
            LetGo();
            LetGoOfStore();
        }

        private ControlReply Prepare(ControlRequest request)
        {
            if (_snapshot is not null || !server._turn.TryTake(s_patience))
            {
                throw new QuenchException(
                    "SNAP-101", $"volume {server.Directory.Name} has a snapshot already", "wait until the backup that holds it ends, then try again")
                {
                    ExitCode = 11,
                    CanRetry = true,
                    Effect = "the volume itself is unaffected",
                };
            }

            try
            {
                _ = server.Files();
                _snapshot = ActiveSnapshot.Prepare(server.Volume, request, FilterWorker.Say);
            }
            finally
            {
                if (_snapshot is null)
                {
                    server._turn.Release();
                }
            }

            return new ControlReply();
        }

        private ControlReply CloseGate(ControlRequest request)
        {
            server.Volume.CloseGate(Own(), TimeSpan.FromMilliseconds(request.LimitMilliseconds));
            return new ControlReply();
        }

        private ControlReply Activate(ControlRequest request)
        {
            ActiveSnapshot snapshot = Own();
            TimeSpan gate = server.Volume.Activate(snapshot, TimeSpan.FromMilliseconds(request.LimitMilliseconds));
            _fileName = $"snapshot-{server.House.NewNode()}"; // never used before, whichever worker it was
            string path = server.Files().Add(_fileName, new SnapshotFile(server.Volume, snapshot));
            server._snapshots[_fileName] = snapshot;
            return new ControlReply { Path = path, GateMilliseconds = gate.TotalMilliseconds, WriteCount = snapshot.WritesBefore };
        }

        private ControlReply Quiet(ControlRequest request)
        {
            TimeSpan quiet = server.Volume.WaitForQuiet(TimeSpan.FromMilliseconds(request.PeriodMilliseconds), TimeSpan.FromMilliseconds(request.LimitMilliseconds));
            return new ControlReply { QuietMilliseconds = quiet.TotalMilliseconds, WriteCount = server.Volume.WriteCount };
        }

        /// <summary>Answers when a snapshot, whoever holds it, is broken or has ended.</summary>
        private ControlReply Watch(ControlRequest request)
        {
            ActiveSnapshot snapshot = server._snapshots.GetValueOrDefault(request.Path ?? "") ?? throw new QuenchException("SNAP-139", "there is no such snapshot to watch");
            return snapshot.Fate.Wait() is null ? new ControlReply() : Describe(snapshot);
        }

        private ControlReply Status() => Describe(Own());

        private ControlReply Describe(ActiveSnapshot snapshot)
        {
            SnapshotCosts costs = snapshot.Costs();
            return server.Volume.WithEngine(_ =>
            {
                DiffAreaUsage usage = snapshot.State.Usage;
                return new ControlReply
                {
                    UsedBytes = usage.UsedBytes,
                    CapBytes = usage.CapBytes,
                    PeakBytes = usage.PeakBytes,
                    IsNearlyFull = usage.IsNearlyFull,
                    Broken = snapshot.State.Broken?.Detail,
                    Costs = costs,
                };
            });
        }

        private ControlReply Saved(ControlRequest request)
        {
            ActiveSnapshot snapshot = Own();
            Extent[] extents = new Extent[Math.Clamp(request.Limit, 1, MaxSavedExtents)];
            int count = server.Volume.WithEngine(engine => engine.GetSavedExtents(snapshot.State, extents));
            return new ControlReply { Extents = [.. extents.Take(count).SelectMany(extent => (long[])[extent.Offset, extent.Length])] };
        }

        private ControlReply Changes(ControlRequest request)
        {
            ActiveSnapshot snapshot = OwnTaken();
            if (snapshot.Generation is not { } since)
            {
                return new ControlReply { Doubt = server.Volume.Tracking.Off };
            }

            StoredChanges changes = server.Volume.Tracking.Tracker!.Find(request.Vault, since);
            string? path = null;
            if (changes.Bytes is not null)
            {
                path = Path.Combine(server.Directory.Folder, $"changes-{Guid.NewGuid():N}");
                File.WriteAllBytes(path, changes.Bytes); // larger than a line may be; the requestor takes it away
            }

            return new ControlReply { Path = path, Doubt = changes.Doubt };
        }

        private ControlReply Remember(ControlRequest request)
        {
            ActiveSnapshot snapshot = OwnTaken();
            if (snapshot.Generation is { } since && request.Path is { } used)
            {
                // What the point holds must not be lost from the origin in a power cut, or the origin would differ from the point without a write.
                server.Volume.Flush();
                server.Volume.Tracking.Tracker!.Remember(request.Vault, request.Point, File.ReadAllBytes(used), since);
            }

            return new ControlReply();
        }

        private ControlReply Tracking()
        {
            if (server.Volume.Tracking.Tracker is not { } tracker)
            {
                return new ControlReply { Doubt = server.Volume.Tracking.Off };
            }

            TrackingStatus status = tracker.Status();
            return new ControlReply
            {
                IsTracking = status.Off is null,
                Doubt = status.Off ?? (status.Lost.Length > 0 ? status.Lost : null),
                Point = status.Point,
                ChangedBytes = status.ChangedBytes,
                DoubtfulBytes = status.DoubtfulBytes,
            };
        }

        private ControlReply End()
        {
            ActiveSnapshot? ended = _snapshot;
            LetGo();
            return new ControlReply { Costs = ended?.Costs() };
        }

        private ControlReply Detach()
        {
            Kept.DemandDetachable();
            if (_snapshot is not null || !server._turn.TryTake(s_patience))
            {
                throw new QuenchException("SNAP-132", $"volume {server.Directory.Name} has a snapshot", "wait until the backup that holds it ends, then detach")
                {
                    ExitCode = 11,
                    CanRetry = true,
                    Effect = "nothing was changed",
                };
            }

            try
            {
                HasDetached = server.House.TryDetach();
            }
            finally
            {
                if (!HasDetached)
                {
                    server._turn.Release();
                }
            }

            return HasDetached
                ? new ControlReply()
                : throw WorkerHouse.InUse(server.Directory.Name);
        }

        /// <summary>The snapshot of a backup would not survive it; and while we wait for the new worker nobody begins one.</summary>
        private ControlReply Upgrade()
        {
            Kept.DemandIdle();
            if (_snapshot is not null || !server._turn.TryTake(s_patience))
            {
                throw new QuenchException("SNAP-145", $"volume {server.Directory.Name} has a snapshot, which a new worker would not know", "wait until the backup that holds it ends, then try again")
                {
                    ExitCode = 11,
                    CanRetry = true,
                    Effect = "nothing was changed",
                };
            }

            try
            {
                return server.House.Upgrade();
            }
            finally
            {
                server._turn.Release();
            }
        }

        /// <summary>The snapshot, once it has its instant.</summary>
        private ActiveSnapshot OwnTaken() => _fileName is null ? throw new QuenchException("SNAP-139", "this connection has taken no snapshot yet") : Own();

        private ActiveSnapshot Own() => _snapshot ?? throw new QuenchException("SNAP-139", "this connection has no snapshot");

        private void LetGo()
        {
            if (_fileName is not null)
            {
                server.Files().Remove(_fileName);
                server._snapshots.TryRemove(_fileName, out _);
                _fileName = null;
            }

            if (_snapshot is not null)
            {
                server.Volume.Deactivate(_snapshot);
                _snapshot = null;
                server._turn.Release();
            }
        }
    }

    private FilterDirectory Directory => directory;

    private FilterVolume Volume => volume;

    private FuseSession Session => session; // the volume's own, which outlives the worker

    private WorkerHouse House => house;
}
