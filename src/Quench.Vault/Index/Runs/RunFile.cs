using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Vault.Keys;

namespace Quench.Vault.Index.Runs;

/// <summary>
/// An immutable file of records in the order of their ids. In memory: 8 bytes for each page and 12 bits for each id. Asking reads one page, and only
/// when the filter says that the id may be there. Thread-safe, without a lock.
/// </summary>
/// <remarks>
/// Disposing it while somebody asks is allowed: the question fails with <see cref="ObjectDisposedException"/>. Every page is authenticated each time it
/// is read; one that does not open is a <see cref="DamagedRunException"/>.
/// </remarks>
internal sealed class RunFile(VaultKeys keys, SafeFileHandle file, RunShape shape, ulong[] fences, ChunkFilter filter) : IDisposable
{
    private const int Readers = 8;

    private readonly PageReader?[] _readers = new PageReader?[Readers]; // those that nobody uses now
    private volatile bool _disposed;

    internal RunShape Shape => shape;

    /// <summary>The file's path while nothing in the cache names it yet; null when it has no name, or a lasting one.</summary>
    internal string? TemporaryPath { get; set; }

    /// <summary>Makes the file durable.</summary>
    internal void Sync() => NativeFile.SyncData(file);

    /// <summary>Deletes the file's name, unless it has a lasting one: then it lives as long as it is open.</summary>
    internal void Unname()
    {
        if (TemporaryPath is { } path)
        {
            TemporaryPath = null;
            try
            {
                File.Delete(path);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // It stays until the next sweep of the cache, which finds it unlocked.
            }
        }
    }

    /// <summary>Opens a run: reads the fences and the filter.</summary>
    /// <param name="keys">Give the file its key.</param>
    /// <param name="file">The file; the run's when the answer is not null.</param>
    /// <param name="shape">What is known of it.</param>
    /// <returns>Null when it is damaged.</returns>
    internal static RunFile? TryOpen(VaultKeys keys, SafeFileHandle file, RunShape shape)
    {
        ulong[] fences = new ulong[shape.RecordPages];
        ulong[] filter = new ulong[shape.FilterWords];
        using RunCursor cursor = new(keys, file, shape, shape.RecordPages);
        int word = 0;
        while (cursor.TryNextPage(out ReadOnlySpan<byte> payload))
        {
            for (; payload.Length >= sizeof(ulong) && word < fences.Length + filter.Length; word++)
            {
                ulong value = BinaryPrimitives.ReadUInt64LittleEndian(payload);
                payload = payload[sizeof(ulong)..];
                if (word < fences.Length)
                {
                    fences[word] = value;
                }
                else
                {
                    filter[word - fences.Length] = value;
                }
            }
        }

        return cursor.IsDamaged ? null : new RunFile(keys, file, shape, fences, new ChunkFilter(filter));
    }

    /// <summary>Finds the record of an id.</summary>
    internal bool TryFind(ChunkId id, out IndexRecord record)
    {
        record = default;
        return filter.MayHold(id) && TryFindInPages(id, out record);
    }

    /// <summary>Reads all of it, from the start.</summary>
    internal RunCursor NewCursor() => new(keys, file, shape, 0);

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        Unname();
        file.Dispose();
        for (int i = 0; i < Readers; i++)
        {
            Interlocked.Exchange(ref _readers[i], null)?.Dispose();
        }
    }

    private bool TryFindInPages(ChunkId id, out IndexRecord record)
    {
        // The last page that begins below the id; those behind it that begin with its very prefix may hold it as well.
        int first = Array.BinarySearch(fences, id.Prefix);
        first = first < 0 ? ~first - 1 : FirstEqual(first) - 1;
        PageReader reader = Rent();
        try
        {
            for (int page = Math.Max(0, first); page < fences.Length && fences[page] <= id.Prefix; page++)
            {
                if (Search(Load(reader, page), shape.RecordsIn(page), id, out record))
                {
                    return true;
                }
            }
        }
        finally
        {
            Return(reader);
        }

        record = default;
        return false;
    }

    private int FirstEqual(int page)
    {
        while (page > 0 && fences[page - 1] == fences[page])
        {
            page--;
        }

        return page;
    }

    private static bool Search(ReadOnlySpan<byte> payload, int count, ChunkId id, out IndexRecord record)
    {
        int low = 0;
        int high = count - 1;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (IndexRecord.PeekPrefix(payload[(middle * IndexRecord.Size)..]) < id.Prefix)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        for (; low < count && IndexRecord.PeekPrefix(payload[(low * IndexRecord.Size)..]) == id.Prefix; low++)
        {
            record = IndexRecord.Read(payload[(low * IndexRecord.Size)..]);
            if (record.Id == id)
            {
                return true;
            }
        }

        record = default;
        return false;
    }

    private ReadOnlySpan<byte> Load(PageReader reader, int page)
    {
        if (reader.Page == page)
        {
            return reader.Payload;
        }

        reader.Page = -1;
        Exception? cause = null;
        try
        {
            if (NativeFile.Read(file, reader.Sealed, (long)page * PageCipher.PageSize) == PageCipher.PageSize
                && reader.Cipher.TryOpen(page, reader.Sealed, reader.Payload))
            {
                reader.Page = page;
                return reader.Payload;
            }
        }
        catch (LinuxErrorException failure)
        {
            cause = failure;
        }

        throw new DamagedRunException(shape.Id, page, cause);
    }

    private PageReader Rent()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        int start = Environment.CurrentManagedThreadId & (Readers - 1);
        for (int i = 0; i < Readers; i++)
        {
            if (Interlocked.Exchange(ref _readers[(start + i) & (Readers - 1)], null) is { } reader)
            {
                return reader;
            }
        }

        return new PageReader(new PageCipher(CacheKeys.NewCipher(keys, shape.Id)));
    }

    private void Return(PageReader reader)
    {
        int start = Environment.CurrentManagedThreadId & (Readers - 1);
        for (int i = 0; i < Readers && !_disposed; i++)
        {
            if (Interlocked.CompareExchange(ref _readers[(start + i) & (Readers - 1)], reader, null) is null)
            {
                return;
            }
        }

        reader.Dispose();
    }

    /// <summary>What one question needs, and the page that the last one saw.</summary>
    private sealed class PageReader(PageCipher cipher) : IDisposable
    {
        internal PageCipher Cipher { get; } = cipher;

        internal byte[] Sealed { get; } = new byte[PageCipher.PageSize];

        internal byte[] Payload { get; } = new byte[PageCipher.PayloadSize];

        internal int Page { get; set; } = -1;

        public void Dispose() => Cipher.Dispose();
    }
}
