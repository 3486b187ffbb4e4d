namespace Quench.Exports.Nbd;

/// <summary>
/// Reads exact lengths from a connection. What is asked for in small pieces is read ahead, so that a full queue of commands costs one call; what is
/// larger than the room for that goes straight to where it is wanted. Not thread-safe.
/// </summary>
internal sealed class WireReader(Stream stream)
{
    private const int ReadAhead = 32 * 1024;

    private readonly byte[] _ahead = new byte[ReadAhead];
    private int _start; // _ahead[_start.._end] has come and has not been asked for
    private int _end;

    /// <summary>Whether something has come that nobody has asked for.</summary>
    internal bool HasMore => _start < _end;

    /// <summary>Reads exactly the buffer's length.</summary>
    /// <returns>False when the connection ended before the first byte.</returns>
    /// <exception cref="EndOfStreamException">It ended in between.</exception>
    internal bool TryRead(Span<byte> into)
    {
        int done = TakeAhead(into);
        while (done < into.Length)
        {
            int got;
            if (into.Length - done >= ReadAhead)
            {
                got = stream.Read(into[done..]);
                done += got;
            }
            else
            {
                got = stream.Read(_ahead);
                (_start, _end) = (0, got);
                done += TakeAhead(into[done..]);
            }

            if (got == 0)
            {
                return done == 0 ? false : throw new EndOfStreamException("the connection ended in the middle of a message");
            }
        }

        return true;
    }

    /// <summary>Reads exactly the buffer's length.</summary>
    /// <exception cref="EndOfStreamException">The connection ended before that.</exception>
    internal void Read(Span<byte> into)
    {
        if (!into.IsEmpty && !TryRead(into))
        {
            throw new EndOfStreamException("the connection ended where a message was due");
        }
    }

    private int TakeAhead(Span<byte> into)
    {
        int taken = Math.Min(into.Length, _end - _start);
        _ahead.AsSpan(_start, taken).CopyTo(into);
        _start += taken;
        return taken;
    }
}
