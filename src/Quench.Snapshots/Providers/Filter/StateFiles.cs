using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// The tracker's state in three files that are opened once, at attach, when the volume can't be mounted anywhere yet: so no later mount can slip the
/// volume under its own state. Past the page cache where that is possible, so that no write of ours waits for the volume's dirty pages.
/// </summary>
/// <remarks>The intents are a file of their own and of fixed size: making them durable waits for no checkpoint's bytes, and for no journal.</remarks>
internal sealed class StateFiles : ITrackingMedium
{
    private const int ChunkSize = 256 << 10;

    private readonly StateDirectory _directory;
    private readonly SafeFileHandle _intents;
    private readonly SafeFileHandle[] _slots;
    private readonly NativeBuffer _chunk = new(ChunkSize, locked: true);
    private readonly Lock _slotGate = new(); // a revocation may come while a checkpoint hangs; guards the two below
    private bool _isNamed;                   // the files' names are durable

    private StateFiles(StateDirectory directory, SafeFileHandle intents, SafeFileHandle[] slots)
    {
        _directory = directory;
        _intents = intents;
        _slots = slots;
    }

    /// <summary>Opens or makes the files.</summary>
    /// <param name="directory">The folder; made when it is not there.</param>
    /// <param name="intentBytes">The size of the write-intent map.</param>
    /// <returns>Null when another worker has them open.</returns>
    internal static StateFiles? TryOpen(StateDirectory directory, long intentBytes)
    {
        Directory.CreateDirectory(directory.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        SafeFileHandle intents = OpenFile(directory.Intents);
        if (!AdvisoryLock.TryTake(intents))
        {
            intents.Dispose();
            return null;
        }

        StateFiles files = new(directory, intents, [OpenFile(directory.Slot(0)), OpenFile(directory.Slot(1))]);
        try
        {
            files.Allot(intentBytes);
            return files;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void WriteIntents(int page, ReadOnlySpan<byte> bytes) => NativeFile.Write(_intents, bytes, (long)page * ChangeTracker.PageSize);

    /// <inheritdoc/>
    public void SyncIntents() => NativeFile.SyncData(_intents);

    /// <inheritdoc/>
    public void WriteSlot(int slot, ReadOnlySpan<byte> bytes)
    {
        lock (_slotGate)
        {
            if (!_isNamed)
            {
                SyncNames();
                _isNamed = true;
            }

            Span<byte> chunk = _chunk.GetSpan();
            for (int done = 0; done < bytes.Length; done += chunk.Length)
            {
                ReadOnlySpan<byte> part = bytes[done..Math.Min(bytes.Length, done + chunk.Length)];
                part.CopyTo(chunk);
                int whole = (part.Length + ChangeTracker.PageSize - 1) & ~(ChangeTracker.PageSize - 1);
                chunk[part.Length..whole].Clear();
                NativeFile.Write(_slots[slot], chunk[..whole], done);
            }

            NativeFile.SyncData(_slots[slot]);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _intents.Dispose();
        _slots[0].Dispose();
        _slots[1].Dispose();
        ((IDisposable)_chunk).Dispose();
    }

    private static SafeFileHandle OpenFile(string path)
    {
        const OpenMode Mode = OpenMode.ReadWrite | OpenMode.Create;
        return NativeFile.TryOpenDirect(path, Mode) ?? NativeFile.Open(path, Mode);
    }

    /// <summary>Gives the write-intent map its room once, so that a later sync writes no metadata. What it held stays when the size was right.</summary>
    private void Allot(long intentBytes)
    {
        long has = NativeFile.TryGetStatus(_directory.Intents)?.Length ?? 0;
        if (has == intentBytes)
        {
            return;
        }

        NativeFile.SetLength(_intents, 0);
        Span<byte> zeros = _chunk.GetSpan();
        zeros.Clear();
        for (long at = 0; at < intentBytes; at += zeros.Length)
        {
            NativeFile.Write(_intents, zeros[..(int)Math.Min(zeros.Length, intentBytes - at)], at);
        }
    }

    private void SyncNames()
    {
        string? folder = _directory.Folder;
        for (int level = 0; level < 3 && folder is not null; level++)
        {
            NativeFile.SyncDirectory(folder);
            folder = Path.GetDirectoryName(folder);
        }
    }
}
