using System.Globalization;
using System.Net.Sockets;
using System.Runtime;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter.Supervision;
using Quench.Snapshots.Store;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// A process that can serve a volume. Its holder has started it and given it the descriptors; it warms up, waits for the word, and serves until it is
/// told to end, or dies. What it must know when it takes over, the holder and the tracking state know.
/// </summary>
public static class FilterWorker
{
    /// <summary>The hidden command that starts a worker's process.</summary>
    public const string CommandName = "filter-worker";

    internal const string VolumeFile = "volume";

    private const int BlockSize = 4096;
    private const int Done = 0;
    private const int OtherProtocol = 3;
    private const int NotDrained = 4;
    private const int Failed = 1;

    private static readonly TimeSpan s_heartbeat = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_drainLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_revocationMoment = TimeSpan.FromSeconds(1);

    /// <summary>Runs a worker.</summary>
    /// <param name="arguments">Those of <see cref="WorkerSetup"/>.</param>
    /// <returns>The process exit code.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        if (WorkerSetup.TryParse(arguments) is not { } setup)
        {
            Console.Error.WriteLine("this worker and its holder do not understand each other: detach the volume and attach it again");
            return OtherProtocol;
        }

        try
        {
            using Life life = new(setup);
            int code = await life.LiveAsync();
            ProcessControl.ExitNow(code); // a thread may still be in the kernel with a request that nobody waits for
            return code;
        }
        catch (Exception failure) when (failure is QuenchException or IOException or SocketException or NotSupportedException or UnauthorizedAccessException)
        {
            Report(failure);
            return Failed;
        }
    }

    /// <summary>Puts a failure that can be given to nobody into the log.</summary>
    internal static void Report(Exception failure) => Say(failure.Message);

    /// <summary>Puts words into the log.</summary>
    internal static void Say(string words) =>
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():O} worker {Environment.ProcessId}: {words}"));

    private static SafeFileHandle Inherited(int number) => new(number, ownsHandle: true);

    /// <summary>One worker from its first line to its last.</summary>
    private sealed class Life : IDisposable
    {
        private readonly WorkerSetup _setup;
        private readonly FilterDirectory _directory;
        private readonly SafeFileHandle _line;
        private readonly SharedMemory _pageMemory;
        private readonly SharedMemory _boardMemory;
        private readonly Board _board;
        private readonly HolderPage _page;
        private readonly WorkerHouse _house;
        private readonly Disk _origin;
        private readonly FuseSession _session;
        private readonly ManualResetEventSlim _clientKnows = new(initialState: false); // that the volume is detached
        private WriteTracker? _tracker;
        private KeptSnapshots? _kept;

        internal Life(WorkerSetup setup)
        {
            GCSettings.LatencyMode = GCLatencyMode.SustainedLowLatency;
            ProcessControl.TryAvoidOutOfMemoryKiller();
            ProcessControl.TryBecomeIoFlusher();
            ProcessControl.TryLockMemory();
            _setup = setup;
            _directory = FilterDirectory.For(setup.Name);
            _line = Inherited(setup.Line);
            _pageMemory = SharedMemory.Map(Inherited(setup.Page), HolderPage.Cells);
            _page = new HolderPage(_pageMemory);
            _house = new WorkerHouse(_directory, _line, _page);
            _boardMemory = SharedMemory.Map(Inherited(setup.Board), Board.Cells);
            _board = new Board(_boardMemory);
            new Thread(() => Beat(_board)) { IsBackground = true, Name = "heartbeat", Priority = ThreadPriority.Highest }.Start();
            _origin = Disk.OpenHeld(Inherited(setup.Held), setup.Origin, DeviceAccess.ReadWrite);
            _origin.Watch = _board;
            _session = FuseSession.Adopt(Inherited(setup.Connection), _directory.Mount, setup.Threads, _board, Report);
        }

        public void Dispose()
        {
            _clientKnows.Dispose();
            _pageMemory.Dispose();
            _boardMemory.Dispose();
            _line.Dispose();
        }

        internal async Task<int> LiveAsync()
        {
            if (!_page.IsOfThisVersion || _page.MaxTransfer > FuseSession.MaxTransfer)
            {
                return OtherProtocol; // agreed on by a holder of another version, for good
            }

            await WarmUp.RunAsync(_board);
            new LineMessage(LineWord.Ready, WorkerSetup.ThisProtocol).TrySend(_line);
            LineMessage word = LineMessage.Receive(_line, wait: true);
            if (word.Word != LineWord.Go)
            {
                return Done; // the volume is detached, or the holder is gone: there is one who serves
            }

            ControlDoor door = TakeOver((WorkerMode)word.Detail, takesOver: word.More != 0);
            new LineMessage(LineWord.Serving).TrySend(_line);
            door.Open();
            return await ObeyAsync();
        }

        private static void Beat(Board board)
        {
            using ManualResetEventSlim never = new(initialState: false);
            do
            {
                board.Beat();
            }
            while (!never.Wait(s_heartbeat));
        }

        /// <summary>From here on production waits.</summary>
        private ControlDoor TakeOver(WorkerMode mode, bool takesOver)
        {
            Func<IConversation> begin;
            FuseDevice.TryHangUp(_directory.Snapshots); // what the last worker may have left: nobody answers there
            if (mode == WorkerMode.PassThrough)
            {
                string reason = $"{SupervisionText.Of(_page.LastChange)}, so the volume went on without its engine";
                _house.PassThroughReason = reason;
                TrackingAbandonment.Begin(_directory, _origin, reason, s_revocationMoment, Report);
                KeptSnapshots.GiveUp(_directory, Report);
                _session.Add(VolumeFile, new PassThroughVolume(_origin), FuseSession.FirstNode);
                begin = () => new PassThroughConversation(_house);
            }
            else
            {
                TrackingStart tracking = TrackingStart.Begin(_directory, _origin, _setup.Tracks, takesOver, Report);
                _tracker = tracking.Tracker;
                _kept = KeptSnapshots.Open(_directory, _origin, TimeProvider.System, Report);
                _kept.Watch = _board;
                FilterVolume volume = new(_origin, BlockSize, tracking, _kept, _board);
                _session.Add(VolumeFile, volume, FuseSession.FirstNode);
                _kept.TakeOverExposed(_session);
                begin = new ControlServer(_directory, volume, _session, _house).Begin;
            }

            _session.Start(resend: takesOver && _page.CanResend && !TestPoint.ForgetsResend);
            Socket listener = new(new SafeSocketHandle(_setup.Door, ownsHandle: true));
            listener.Listen(FilterHolder.PendingClients); // once more: whoever knocks from now on learns that it is us who listens (unix(7), SO_PEERCRED)
            return new ControlDoor(listener, begin, _clientKnows.Set);
        }

        /// <summary>Does what the holder says until one of its words is the last.</summary>
        private async Task<int> ObeyAsync()
        {
            while (true)
            {
                LineMessage message = LineMessage.Receive(_line, wait: true);
                switch (message.Word)
                {
                    case LineWord.Drain:
                        return await DrainAsync();
                    case LineWord.Gone:
                        return await LiveAloneAsync();
                    case LineWord.DeviceGone:
                        _house.Heard(message.Word);
                        await CloseAsync();
                        new LineMessage(LineWord.Closed).TrySend(_line);
                        return Done;
                    default:
                        _house.Heard(message.Word);
                        break;
                }
            }
        }

        private async Task<int> DrainAsync()
        {
            if (!_session.TryDrain(s_drainLimit))
            {
                return NotDrained; // what is in work is sent again; the books say so as after a death
            }

            if (_tracker is { HasSomethingToKeep: true })
            {
                await CloseTrackerAsync(_tracker);
            }

            return Done;
        }

        /// <summary>The holder is dead. The volume is served on, and nobody will take over from this worker; detaching it is up to us.</summary>
        private async Task<int> LiveAloneAsync()
        {
            if (!File.Exists(_directory.State))
            {
                return Done; // nothing was attached yet
            }

            Report(new IOException("the holder is gone; the volume is served on, but nobody will replace this worker: detach and attach the volume soon"));
            _house.Heard(LineWord.Gone);
            _clientKnows.Wait();
            await CloseAsync();
            FuseDevice.TryUnmount(_directory.Mount, detach: true);
            File.Delete(_directory.State);
            return Done;
        }

        /// <summary>The device is gone: closes the books for good.</summary>
        private async Task CloseAsync()
        {
            _clientKnows.Wait(s_drainLimit); // the client gets its answer before we end
            _origin.Flush();
            if (_kept is not null)
            {
                await _kept.CloseAsync();
            }

            if (_tracker is { HasSomethingToKeep: true })
            {
                await CloseTrackerAsync(_tracker);
            }
            else if (_tracker is not null)
            {
                StateDirectory.For(_setup.Name).Remove(); // it tells nothing
            }

            FuseDevice.TryUnmount(_directory.Snapshots, detach: true);
            await _origin.DisposeAsync(); // not left to the process's end: a transfer to a diff area's disk that does not answer may put that off
        }

        private async Task CloseTrackerAsync(WriteTracker tracker)
        {
            await OriginLook.LetClockTickAsync(_origin.Path, TimeProvider.System);
            tracker.Close(OriginLook.At(_origin.Path, _origin.Geometry.Length).Stamp);
        }
    }
}
