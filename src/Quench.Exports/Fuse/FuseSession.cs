using Microsoft.Win32.SafeHandles;
using Quench.Exports.Fuse.Wire;
using Quench.Interop.Fuse;

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
/// Thread-safe. Disposing unmounts, which ends the threads.
/// </remarks>
public sealed partial class FuseSession : IDisposable
{
    /// <summary>The largest read or write, in bytes.</summary>
    public const int MaxTransfer = 1024 * 1024;

    private const int PageSize = 4096;
    private const int HeaderOffset = PageSize - RequestHeader.Size - TransferArguments.Size;
    private const int MaxBackground = 64;
    private const ulong RootNode = 1;

    private readonly SafeFileHandle _connection;
    private readonly string _directory;
    private readonly Action<Exception> _report;
    private readonly Thread[] _threads;

    private readonly Lock _namesGate = new();       // guards changes of the two below
    private volatile Entry?[] _entries = [];        // by node number less two; replaced, never changed, so that readers need no lock
    private volatile bool _ended;

    private FuseSession(SafeFileHandle connection, string directory, int threadCount, Action<Exception> report)
    {
        _connection = connection;
        _directory = directory;
        _report = report;
        _threads = new Thread[threadCount];
    }

    private sealed record Entry(string Name, IFuseFile File);

    /// <summary>Mounts a new session and serves it.</summary>
    /// <param name="directory">An existing, empty directory.</param>
    /// <param name="name">What mount(8) shows as the source.</param>
    /// <param name="threadCount">How many requests may be in work at once.</param>
    /// <param name="report">Told of failures that are not the kernel's own; must not throw.</param>
    public static FuseSession Mount(string directory, string name, int threadCount, Action<Exception> report)
    {
        SafeFileHandle connection = FuseDevice.Open();
        try
        {
            FuseDevice.Mount(connection, directory, name, MaxTransfer);
            FuseSession session = new(connection, directory, threadCount, report);
            session.Start();
            return session;
        }
        catch
        {
            FuseDevice.TryUnmount(directory, detach: true);
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Shows a file under a name, and returns its path.</summary>
    public string Add(string name, IFuseFile file)
    {
        lock (_namesGate)
        {
            _entries = [.. _entries, new Entry(name, file)];
        }

        return Path.Combine(_directory, name);
    }

    /// <summary>Takes a file away. Whoever still has it open gets ENODEV from now on.</summary>
    public void Remove(string name)
    {
        lock (_namesGate)
        {
            Entry?[] entries = [.. _entries];
            int at = Array.FindIndex(entries, entry => entry?.Name == name);
            if (at >= 0)
            {
                entries[at] = null;
                _entries = entries;
            }
        }
    }

    /// <summary>Waits until the directory has been unmounted, by us or by somebody else.</summary>
    public void WaitForEnd()
    {
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_ended)
        {
            _ended = true;
            FuseDevice.TryUnmount(_directory, detach: true);
            WaitForEnd();
            _connection.Dispose();
        }
    }

    private void Start()
    {
        Handshake();
        for (int index = 0; index < _threads.Length; index++)
        {
            _threads[index] = new Thread(Serve) { IsBackground = true, Name = $"fuse-{index}" };
            _threads[index].Start();
        }
    }

    private IFuseFile? Find(ulong node)
    {
        Entry?[] entries = _entries;
        return node >= 2 && node - 2 < (ulong)entries.Length ? entries[node - 2]?.File : null;
    }
}
