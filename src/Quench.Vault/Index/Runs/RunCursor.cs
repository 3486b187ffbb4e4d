using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Vault.Keys;

namespace Quench.Vault.Index.Runs;

/// <summary>Reads a run's pages one after the other, many at a time. Not thread-safe. The file stays the caller's.</summary>
internal sealed class RunCursor(VaultKeys keys, SafeFileHandle file, RunShape shape, int firstPage) : IDisposable
{
    private const int BufferPages = 16;

    private readonly PageCipher _cipher = new(CacheKeys.NewCipher(keys, shape.Id));
    private readonly byte[] _buffer = new byte[BufferPages * PageCipher.PageSize];
    private readonly byte[] _payload = new byte[PageCipher.PayloadSize];
    private int _bufferFirst = firstPage; // the page at the buffer's start
    private int _bufferCount; // pages in the buffer
    private int _next = firstPage;
    private int _record = -1; // in the current record page
    private int _records;
    private IndexRecord _current;

    /// <summary>The record that it stands on.</summary>
    internal ref readonly IndexRecord Current => ref _current;

    /// <summary>Whether there are no more records.</summary>
    internal bool IsAtEnd { get; private set; }

    /// <summary>Whether it ended because of a page that does not open.</summary>
    internal bool IsDamaged { get; private set; }

    /// <summary>Goes on to the next record.</summary>
    /// <returns>False at the end, and at a damaged page.</returns>
    internal bool TryNext()
    {
        if (++_record >= _records)
        {
            if (_next >= shape.RecordPages || !TryNextPage(out _))
            {
                IsAtEnd = true;
                return false;
            }

            _records = shape.RecordsIn(_next - 1);
            _record = 0;
        }

        _current = IndexRecord.Read(_payload.AsSpan(_record * IndexRecord.Size, IndexRecord.Size));
        return true;
    }

    /// <summary>Goes on to the next page.</summary>
    /// <param name="payload">What is in it, valid until the next call.</param>
    /// <returns>False at the end, and at a damaged page.</returns>
    internal bool TryNextPage(out ReadOnlySpan<byte> payload)
    {
        payload = _payload;
        if (_next >= shape.Pages || IsDamaged)
        {
            return false;
        }

        if (_next >= _bufferFirst + _bufferCount)
        {
            Fill();
        }

        int at = (_next - _bufferFirst) * PageCipher.PageSize;
        IsDamaged |= _bufferCount == 0 || !_cipher.TryOpen(_next, _buffer.AsSpan(at, PageCipher.PageSize), _payload);
        _next++;
        return !IsDamaged;
    }

    /// <inheritdoc/>
    public void Dispose() => _cipher.Dispose();

    private void Fill()
    {
        int pages = Math.Min(BufferPages, shape.Pages - _next);
        _bufferFirst = _next;
        _bufferCount = 0;
        try
        {
            _bufferCount = NativeFile.Read(file, _buffer.AsSpan(0, pages * PageCipher.PageSize), (long)_next * PageCipher.PageSize) / PageCipher.PageSize;
        }
        catch (LinuxErrorException)
        {
            IsDamaged = true; // a page that can't be read is a page that does not open
        }
    }
}
