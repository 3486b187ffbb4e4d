using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>A fixed number of places for descriptors that are waited for together. Nothing is allocated after it was made. (poll(2))</summary>
/// <remarks>For one thread.</remarks>
public sealed unsafe class PollSet : IDisposable
{
    private const short POLLIN = 1;

    private readonly int _count;
    private readonly LibC.PollFd* _places;

    /// <summary>Makes a set with empty places.</summary>
    public PollSet(int count)
    {
        _count = count;
        _places = (LibC.PollFd*)NativeMemory.AllocZeroed((nuint)count, (nuint)sizeof(LibC.PollFd));
        for (int place = 0; place < count; place++)
        {
            this[place] = -1;
        }
    }

    /// <summary>The descriptor in a place; -1 for none.</summary>
    public int this[int place]
    {
        set => _places[place] = new LibC.PollFd { Fd = value, Events = POLLIN };
    }

    /// <summary>Waits until one of them can be read or its other side is gone, or the time is over.</summary>
    public void Wait(int milliseconds)
    {
        if (LibC.poll(_places, (nuint)_count, milliseconds) >= 0)
        {
            return;
        }

        for (int place = 0; place < _count; place++)
        {
            _places[place].Revents = 0;
        }

        if (Marshal.GetLastPInvokeError() != (int)Errno.EINTR)
        {
            throw LinuxErrorException.FromLastError("poll");
        }
    }

    /// <summary>Whether the descriptor in a place had something to tell at the last wait.</summary>
    public bool IsReady(int place) => _places[place].Revents != 0;

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.Free(_places);
}
