using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Quench.Blocks;
using Quench.Exports.Fuse;
using Quench.Interop.Fuse;
using Quench.Snapshots.Engine;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// The worker's door: a Unix socket that only root can open, a thread for each client, a line of JSON each way. A snapshot belongs to the
/// connection that prepared it: when that ends, for whatever reason, the snapshot is let go of and the volume pays nothing more.
/// </summary>
internal sealed class ControlServer(FilterDirectory directory, FilterVolume volume, Func<bool> tryDetach, Action detached) : IDisposable
{
    private const int MaxSavedExtents = 4096;
    private const int SnapshotThreads = 6;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly SnapshotTurn _turn = new(); // taken while some connection has a snapshot prepared or active, and for good once detached
    private readonly ConcurrentDictionary<string, ActiveSnapshot> _snapshots = new(StringComparer.Ordinal); // by the name of their file: for who watches them
    private readonly Lock _filesGate = new(); // guards the one below
    private FuseSession? _files;              // shows the snapshots; made with the first one
    private int _snapshotCount;

    /// <summary>Opens the door.</summary>
    internal void Start()
    {
        File.Delete(directory.Socket);
        _listener.Bind(new UnixDomainSocketEndPoint(directory.Socket));
        File.SetUnixFileMode(directory.Socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        _listener.Listen();
        new Thread(Accept) { IsBackground = true, Name = "control" }.Start();
    }

    /// <summary>Closes the door. The threads that serve snapshots end with the process: whoever still has one open must not hold up a detach.</summary>
    public void Dispose()
    {
        _listener.Dispose();
        FuseDevice.TryUnmount(directory.Snapshots, detach: true);
    }

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
                _files = FuseSession.Mount(directory.Snapshots, $"quench:{directory.Name}:snapshots", SnapshotThreads, failure => Say(failure.Message));
            }

            return _files;
        }
    }

    private static void Say(string words)
    {
        try
        {
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():O} {words}"));
        }
        catch (IOException)
        {
            // No room for a log is no reason to stop serving the volume.
        }
    }

    private void Accept()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = _listener.Accept();
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                return; // the worker is ending
            }

            new Thread(() => Serve(client)) { IsBackground = true, Name = "control-client" }.Start();
        }
    }

    private void Serve(Socket client)
    {
        using Conversation conversation = new(this);
        try
        {
            using NetworkStream stream = new(client, ownsSocket: true);
            using StreamReader reader = new(stream, Encoding.UTF8);
            while (reader.ReadLine() is { } line)
            {
                byte[] reply = JsonSerializer.SerializeToUtf8Bytes(conversation.Answer(line), ControlJson.Default.ControlReply);
                stream.Write([.. reply, (byte)'\n']);
                if (conversation.HasDetached)
                {
                    detached(); // only now, because the process may end at once
                }
            }
        }
        catch (IOException)
        {
            // The client is gone; what it held is let go of below.
        }
    }

    /// <summary>What one client has going.</summary>
    private sealed class Conversation(ControlServer server) : IDisposable
    {
        private ActiveSnapshot? _snapshot;
        private string? _fileName;

        internal bool HasDetached { get; private set; }

        internal ControlReply Answer(string line)
        {
            try
            {
                ControlRequest request = JsonSerializer.Deserialize(line, ControlJson.Default.ControlRequest)!;
                return request.Op switch
                {
                    "ping" => new ControlReply { WriteCount = server.Volume.WriteCount },
                    "quiet" => Quiet(request),
                    "watch" => Watch(request),
                    "prepare" => Prepare(request),
                    "activate" => Activate(request),
                    "status" => Status(),
                    "saved" => Saved(request),
                    "changes" => Changes(request),
                    "remember" => Remember(request),
                    "tracking" => Tracking(),
                    "end" => End(),
                    "detach" => Detach(),
                    _ => new ControlReply { Code = "SNAP-139", Message = $"the worker does not know \"{request.Op}\"", Next = "use the same version of quench that attached the volume" },
                };
            }
            catch (QuenchException failure)
            {
                return new ControlReply { Code = failure.Code, Message = failure.Message, Next = failure.Next, Effect = failure.Effect, ExitCode = failure.ExitCode };
            }
            catch (JsonException failure)
            {
                return new ControlReply { Code = "SNAP-139", Message = $"the worker can't read a request: {failure.Message}" };
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                return new ControlReply { Code = "SNAP-138", Message = $"the worker could not do it: {failure.Message}" };
            }
        }

        public void Dispose() => LetGo();

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
                _snapshot = ActiveSnapshot.Prepare(server.Volume, request, Say);
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

        private ControlReply Activate(ControlRequest request)
        {
            ActiveSnapshot snapshot = Own();
            TimeSpan gate = server.Volume.Activate(snapshot, TimeSpan.FromMilliseconds(request.LimitMilliseconds));
            _fileName = $"snapshot-{Interlocked.Increment(ref server._snapshotCount)}";
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
                HasDetached = server.TryDetach();
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
                : throw new QuenchException("SNAP-133", $"volume {server.Directory.Name} is mounted or open", "unmount it first; `fuser -vm` shows who uses it")
                {
                    ExitCode = 11,
                    CanRetry = true,
                    Effect = "nothing was changed: the volume goes on working",
                };
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

    private bool TryDetach() => tryDetach();
}
