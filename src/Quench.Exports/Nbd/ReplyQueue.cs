namespace Quench.Exports.Nbd;

/// <summary>
/// Sends whole messages for many lanes over one connection. While one of them sends, short messages of the others gather, and go out together when it is
/// through: so a lane waits for the connection only with much to say, or when the client takes nothing. Thread-safe.
/// </summary>
internal sealed class ReplyQueue(NbdWire wire)
{
    private const int Room = 32 * 1024;
    private const int Short = 8 * 1024; // what is longer costs more to copy than to send

    private readonly object _gate = new(); // guards all below
    private byte[]? _gathering; // made when the first message has to wait
    private byte[]? _leaving;   // the sender's, while it sends; changes places with the other one
    private int _gathered;      // bytes
    private bool _isTaken;      // somebody sends

    /// <summary>Sends a message, or leaves it with whoever sends now.</summary>
    /// <param name="message">The caller's again on return.</param>
    internal void Send(ReadOnlySpan<byte> message)
    {
        if (TryLeave(message))
        {
            return;
        }

        try
        {
            wire.Send(message);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Waits until nobody else sends: for a message that goes out in parts, by <see cref="NbdWire.Send"/>. <see cref="Release"/> ends it.</summary>
    internal void Take()
    {
        lock (_gate)
        {
            while (_isTaken)
            {
                Monitor.Wait(_gate);
            }

            _isTaken = true;
        }
    }

    /// <summary>Sends what has gathered, and lets others send.</summary>
    internal void Release()
    {
        bool isThrough = false;
        try
        {
            while (TryTakeGathered(out int length))
            {
                wire.Send(_leaving.AsSpan(0, length));
            }

            isThrough = true;
        }
        finally
        {
            if (!isThrough)
            {
                Give(); // the connection is broken: who waits finds out for itself
            }
        }
    }

    /// <returns>False when the caller has the connection and must send itself.</returns>
    private bool TryLeave(ReadOnlySpan<byte> message)
    {
        lock (_gate)
        {
            while (_isTaken)
            {
                if (message.Length <= Short && message.Length <= Room - _gathered)
                {
                    _gathering ??= new byte[Room];
                    message.CopyTo(_gathering.AsSpan(_gathered));
                    _gathered += message.Length;
                    return true;
                }

                Monitor.Wait(_gate);
            }

            _isTaken = true;
            return false;
        }
    }

    /// <returns>False when there was nothing; the connection is free then.</returns>
    private bool TryTakeGathered(out int length)
    {
        lock (_gate)
        {
            length = _gathered;
            if (length > 0)
            {
                (_gathering, _leaving, _gathered) = (_leaving, _gathering, 0);
            }
            else
            {
                _isTaken = false;
            }

            Monitor.PulseAll(_gate); // there is room, or it is free
            return length > 0;
        }
    }

    private void Give()
    {
        lock (_gate)
        {
            (_isTaken, _gathered) = (false, 0);
            Monitor.PulseAll(_gate);
        }
    }
}
