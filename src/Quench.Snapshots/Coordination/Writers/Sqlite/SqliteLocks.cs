using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Writers.Sqlite;

/// <summary>
/// The locks of one SQLite database file, taken as a connection that is about to write takes them: readers go on, writers wait or are told that the database is busy. Not a byte of the
/// application's files is read beyond the header, or written.
/// </summary>
/// <remarks>
/// <code>
/// database          0 … header … 18 write version, 19 read version (1 rollback journal, 2 write-ahead log)          (Database File Format, §1.3)
///         0x40000000   PENDING    1 byte                                                                           (File Locking And Concurrency, §3; os.h of the sources)
///         0x40000001   RESERVED   1 byte       one connection is writing
///         0x40000002   SHARED   510 bytes      somebody reads
/// database-shm    120   the writer's byte, 121 the checkpointer's                                                  (WAL-mode File Format, §2.1 and §2.3)
/// </code>
/// The kernel gives locks up when the handles are closed or the process dies.
/// </remarks>
internal sealed class SqliteLocks : IDisposable
{
    private const long Pending = 0x40000000;
    private const long Reserved = Pending + 1;
    private const long Shared = Pending + 2;
    private const long SharedLength = 510;
    private const long LogWriter = 120;
    private const long LogWriterAndCheckpointer = 2;
    private const int HeaderBytes = 100;
    private const int ReadVersionAt = 19;

    private readonly string _path;
    private readonly SafeFileHandle _database;
    private readonly ulong _inode;
    private SafeFileHandle? _logIndex;

    private SqliteLocks(string path, SafeFileHandle database, ulong inode)
    {
        _path = path;
        _database = database;
        _inode = inode;
    }

    /// <summary>Opens a database; takes nothing yet.</summary>
    /// <exception cref="LinuxErrorException">It can't be opened for writing, which its locks demand.</exception>
    internal static SqliteLocks Open(string path)
    {
        SafeFileHandle database = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.NoFollow);
        return new SqliteLocks(path, database, NativeFile.TryGetStatus(path)?.Inode ?? 0);
    }

    /// <summary>Whether the file is a database, as far as its header says.</summary>
    internal static bool IsDatabase(string path)
    {
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadOnly);
        byte[] header = new byte[HeaderBytes];
        return NativeFile.Read(file, header, 0) == HeaderBytes && header.AsSpan().StartsWith("SQLite format 3\0"u8);
    }

    /// <summary>Takes the locks that keep everybody from writing, all of them or none.</summary>
    /// <returns>False when somebody is writing now.</returns>
    internal bool TryTake()
    {
        bool taken = TryShare() && (UsesLog() ? TryTakeLog() : RangeLock.TryTake(_database, Reserved, 1, exclusive: true));
        if (!taken)
        {
            Release();
        }

        return taken;
    }

    /// <summary>Makes durable what has been committed: with synchronous = NORMAL or OFF it may be in the kernel's memory only.</summary>
    internal void Sync()
    {
        foreach (string name in (string[])[_path, _path + "-wal"])
        {
            if (NativeFile.TryGetStatus(name) is not null)
            {
                using SafeFileHandle file = NativeFile.Open(name, OpenMode.ReadOnly);
                NativeFile.Sync(file);
            }
        }

        NativeFile.SyncDirectory(Path.GetDirectoryName(_path)!);
    }

    /// <summary>Whether the file that is locked is still the one of that name.</summary>
    internal bool IsStillThere => NativeFile.TryGetStatus(_path)?.Inode == _inode;

    /// <inheritdoc/>
    public void Dispose()
    {
        _logIndex?.Dispose();
        _database.Dispose();
    }

    /// <summary>As each reader does: the pending byte for a moment, so that a writer who waits for the readers is not passed by.</summary>
    private bool TryShare()
    {
        if (!RangeLock.TryTake(_database, Pending, 1, exclusive: false))
        {
            return false;
        }

        bool shared = RangeLock.TryTake(_database, Shared, SharedLength, exclusive: false);
        RangeLock.Release(_database, Pending, 1);
        return shared;
    }

    /// <summary>Read under the shared lock, which keeps the journal's kind as it is.</summary>
    private bool UsesLog()
    {
        byte[] header = new byte[HeaderBytes];
        return NativeFile.Read(_database, header, 0) == HeaderBytes && header[ReadVersionAt] == 2;
    }

    /// <summary>With a log, its index's writer lock. Without an index nobody has the database open: then it is kept from being opened.</summary>
    private bool TryTakeLog()
    {
        string index = _path + "-shm";
        if (NativeFile.TryGetStatus(index) is null)
        {
            return RangeLock.TryTake(_database, Pending, Shared + SharedLength - Pending, exclusive: true) && NativeFile.TryGetStatus(index) is null;
        }

        _logIndex = NativeFile.Open(index, OpenMode.ReadWrite | OpenMode.NoFollow);
        return RangeLock.TryTake(_logIndex, LogWriter, LogWriterAndCheckpointer, exclusive: true);
    }

    private void Release()
    {
        _logIndex?.Dispose();
        _logIndex = null;
        RangeLock.Release(_database, Pending, Shared + SharedLength - Pending);
    }
}
