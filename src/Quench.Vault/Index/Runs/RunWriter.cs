using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Vault.Keys;

namespace Quench.Vault.Index.Runs;

/// <summary>Writes a run, record after record in the order of their ids. Not thread-safe. The file stays the caller's.</summary>
internal sealed class RunWriter : IDisposable
{
    private const int BufferPages = 64;

    private readonly SafeFileHandle _file;
    private readonly Guid _id;
    private readonly PageCipher _cipher;
    private readonly byte[] _payload = new byte[PageCipher.PayloadSize];
    private readonly byte[] _buffer = new byte[BufferPages * PageCipher.PageSize];
    private readonly List<ulong> _fences = [];
    private readonly ChunkFilter _filter;
    private int _payloadLength;
    private int _pages; // sealed so far, the buffered ones included
    private int _written; // pages in the file
    private int _count;

    /// <summary>A writer.</summary>
    /// <param name="keys">Give the file its key.</param>
    /// <param name="id">The run's id.</param>
    /// <param name="file">An empty file.</param>
    /// <param name="mostRecords">No more will be added.</param>
    internal RunWriter(VaultKeys keys, Guid id, SafeFileHandle file, int mostRecords)
    {
        _file = file;
        _id = id;
        _cipher = new PageCipher(CacheKeys.NewCipher(keys, id));
        _filter = new ChunkFilter(new ulong[ChunkFilter.WordsFor(mostRecords)]);
    }

    internal void Add(in IndexRecord record)
    {
        if (_payloadLength == 0)
        {
            _fences.Add(record.Id.Prefix);
        }

        record.Write(_payload.AsSpan(_payloadLength, IndexRecord.Size));
        _payloadLength += IndexRecord.Size;
        _filter.Add(record.Id);
        _count++;
        if (_payloadLength + IndexRecord.Size > PageCipher.PayloadSize)
        {
            SealPage();
        }
    }

    /// <summary>Writes what is left and what belongs behind the records.</summary>
    /// <returns>What must be known to read the run, and what is kept of it in memory.</returns>
    internal (RunShape Shape, ulong[] Fences, ChunkFilter Filter) Finish()
    {
        SealPage();
        WriteWords(CollectionsMarshal.AsSpan(_fences));
        WriteWords(_filter.Words);
        SealPage();
        Flush();
        return (new RunShape(_id, _count, _filter.Words.Length), [.. _fences], _filter);
    }

    /// <inheritdoc/>
    public void Dispose() => _cipher.Dispose();

    private void WriteWords(ReadOnlySpan<ulong> words)
    {
        foreach (ulong word in words)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(_payload.AsSpan(_payloadLength), word);
            _payloadLength += sizeof(ulong);
            if (_payloadLength == PageCipher.PayloadSize)
            {
                SealPage();
            }
        }
    }

    private void SealPage()
    {
        if (_payloadLength == 0)
        {
            return;
        }

        _payload.AsSpan(_payloadLength).Clear();
        _cipher.Seal(_pages, _payload, _buffer.AsSpan((_pages - _written) * PageCipher.PageSize));
        _pages++;
        _payloadLength = 0;
        if (_pages - _written == BufferPages)
        {
            Flush();
        }
    }

    private void Flush()
    {
        NativeFile.Write(_file, _buffer.AsSpan(0, (_pages - _written) * PageCipher.PageSize), (long)_written * PageCipher.PageSize);
        _written = _pages;
    }
}
