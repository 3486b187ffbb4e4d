using Microsoft.Win32.SafeHandles;
using Quench.Exports.Fuse.Wire;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Exports.Fuse;

/// <summary>
/// A directory of disk files served over raw /dev/fuse. Requests are taken by several threads from one descriptor; each thread owns one
/// locked buffer, reads a request into it, does the work there and answers from it, so that nothing is copied and nothing allocated.
/// </summary>
/// <remarks>
/// <code>
/// a thread's buffer   0 ………… 4016          4056          4096 (page-aligned) …………………… 4096 + 1 MiB
///                            ├ header (40) ┼ write args ─┼ payload of a write, straight to O_DIRECT
///                                                 ├ 16 ──┼ payload of a read, straight from O_DIRECT
///                                                 reply header
/// </code>
/// Eight threads on one descriptor measured best on two cores; one descriptor a thread gained nothing.
/// Thread-safe. Disposing one that was mounted here unmounts it, which ends the threads.
/// </remarks>
public sealed partial class FuseSession : IDisposable
{
    /// <summary>The largest read or write, in bytes.</summary>
    public const int MaxTransfer = 1024 * 1024;

    /// <summary>The node of the file that is added first.</summary>
    public const ulong FirstNode = 2;

    private const int PageSize = 4096;
    private const int HeaderOffset = PageSize - RequestHeader.Size - TransferArguments.Size;
    private const int CellsInLine = 8; // 64 bytes of the processor's cache
    private const ulong RootNode = 1;

    private readonly SafeFileHandle _connection;
    private readonly FuseConnection? _owned; // the same, where this session has mounted it
    private readonly string _directory;
    private readonly Action<Exception> _report;
    private readonly IRequestWatch? _watch;
    private readonly Thread[] _threads;
    private readonly NativeBuffer[] _buffers;                                 // one for each thread, locked before any request is taken
    private readonly long[] _atWork;                                          // for each thread, a cache line apart: 1 while it has a request
    private readonly ManualResetEventSlim _never = new(initialState: false);  // what threads wait for that must take nothing more

    private readonly Lock _namesGate = new();       // guards changes of the two below
    private volatile Entry[] _entries = [];         // in order of their nodes; replaced, never changed, so that readers need no lock
    private ulong _lastNode = RootNode;
    private volatile bool _draining;
    private volatile bool _ended;

    private FuseSession(FuseConnection? owned, SafeFileHandle connection, string directory, int threadCount, IRequestWatch? watch, Action<Exception> report)
    {
        _owned = owned;
        _connection = connection;
        _directory = directory;
        _watch = watch;
        _report = report;
        _threads = new Thread[threadCount];
        _atWork = new long[threadCount * CellsInLine];
        _buffers = new NativeBuffer[threadCount];
        for (int index = 0; index < threadCount; index++)
        {
            _buffers[index] = new NativeBuffer(PageSize + MaxTransfer + PageSize, locked: true);
        }
    }

    private sealed record Entry(ulong Node, string Name, IFuseFile File);

    /// <summary>Mounts a new session and serves it.</summary>
    /// <param name="directory">An existing, empty directory.</param>
    /// <param name="name">What mount(8) shows as the source.</param>
    /// <param name="threadCount">How many requests may be in work at once.</param>
    /// <param name="report">Told of failures that are not the kernel's own; must not throw.</param>
    public static FuseSession Mount(string directory, string name, int threadCount, Action<Exception> report)
    {
        FuseConnection connection = FuseConnection.Mount(directory, name);
        FuseSession session = new(connection, connection.Handle, directory, threadCount, null, report);
        session.Start(resend: false);
        return session;
    }

    /// <summary>
    /// Prepares to serve a connection that another process holds: takes memory, pre-faulted and locked, and reads nothing yet. Then files are
    /// added, and <see cref="Start"/> begins.
    /// </summary>
    /// <param name="connection">Mounted, and agreed on with the kernel; owned from now on. Disposing the session does not unmount it.</param>
    /// <param name="directory">Where it is mounted.</param>
    /// <param name="threadCount">How many requests may be in work at once.</param>
    /// <param name="watch">Told of each request; null for nobody.</param>
    /// <param name="report">Told of failures that are not the kernel's own; must not throw.</param>
    public static FuseSession Adopt(SafeFileHandle connection, string directory, int threadCount, IRequestWatch? watch, Action<Exception> report) =>
        new(null, connection, directory, threadCount, watch, report);

    /// <summary>Begins to serve.</summary>
    /// <param name="resend">
    /// First have the kernel send again what an earlier server took and did not answer. That one must be gone, with all of its threads.
    /// </param>
    public void Start(bool resend)
    {
        if (resend)
        {
            SendAgain(); // before any thread reads: our own requests would come twice
        }

        for (int index = 0; index < _threads.Length; index++)
        {
            int number = index;
            _threads[index] = new Thread(() => Serve(number)) { IsBackground = true, Name = $"fuse-{index}" };
            _threads[index].Start();
        }
    }

    /// <summary>
    /// Takes no more requests and waits until those in work are answered. Requests that still come are left unanswered: whoever serves the
    /// connection next has them sent again. The process has to end then.
    /// </summary>
    /// <returns>False when some were still in work at the limit.</returns>
    public bool TryDrain(TimeSpan limit)
    {
        _draining = true;
        Interlocked.MemoryBarrier(); // a thread has seen it, or we see the thread at work
        return SpinWait.SpinUntil(IsIdle, limit);
    }

    /// <summary>Shows a file under a name, and returns its path. Its node is one that no file of this session had before.</summary>
    public string Add(string name, IFuseFile file) => Add(name, file, _lastNode + 1);

    /// <summary>
    /// Shows a file under a name and a node, and returns its path. Whoever has the node open goes on with this file, even if another process
    /// served it before: so a node must always mean the same bytes, for as long as the connection lives.
    /// </summary>
    /// <param name="name">The name.</param>
    /// <param name="file">What is read and written there.</param>
    /// <param name="node">At least <see cref="FirstNode"/>; not in use.</param>
    public string Add(string name, IFuseFile file, ulong node)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(node, FirstNode);
        lock (_namesGate)
        {
            if (Find(node) is not null)
            {
                throw new ArgumentException($"node {node} is in use", nameof(node));
            }

            _entries = [.. _entries.Append(new Entry(node, name, file)).OrderBy(entry => entry.Node)];
            _lastNode = Math.Max(_lastNode, node);
        }

        return Path.Combine(_directory, name);
    }

    /// <summary>Takes a file away. Whoever still has it open gets ENODEV from now on.</summary>
    public void Remove(string name)
    {
        lock (_namesGate)
        {
            _entries = [.. _entries.Where(entry => entry.Name != name)];
        }
    }

    /// <summary>Takes the directory of a session that was mounted here out of sight. Whoever has a file of it open goes on with it; when nobody has, the session ends.</summary>
    public void Hide() => FuseDevice.TryUnmount(_directory, detach: true);

    /// <summary>Waits until the directory has been unmounted, by us or by somebody else.</summary>
    public void WaitForEnd()
    {
        foreach (Thread? thread in _threads)
        {
            thread?.Join();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_ended)
        {
            _ended = true;
            if (_owned is not null)
            {
                FuseDevice.TryUnmount(_directory, detach: true);
            }

            WaitForEnd();
            _connection.Dispose();
            foreach (NativeBuffer buffer in _buffers)
            {
                ((IDisposable)buffer).Dispose();
            }
        }
    }

    private bool IsIdle()
    {
        for (int cell = 0; cell < _atWork.Length; cell += CellsInLine)
        {
            if (Volatile.Read(ref _atWork[cell]) != 0)
            {
                return false;
            }
        }

        return true;
    }

    private void SendAgain()
    {
        Span<byte> notification = stackalloc byte[ReplyHeader.Size];
        ReplyHeader.Write(notification, notification.Length, ReplyHeader.NotifyResend, unique: 0);
        int sent = FuseDevice.Send(_connection, notification);
        if (sent != 0)
        {
            throw new LinuxErrorException((Errno)(-sent), "have requests sent again for", _directory);
        }
    }

    private IFuseFile? Find(ulong node)
    {
        foreach (Entry entry in _entries) // few, and the volume is the first
        {
            if (entry.Node == node)
            {
                return entry.File;
            }
        }

        return null;
    }
}
