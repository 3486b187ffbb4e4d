using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>Two ends of a line between two processes that keeps each message whole. (unix(7), SOCK_SEQPACKET)</summary>
public static unsafe class MessagePair
{
    private const int AF_UNIX = 1;
    private const int SOCK_SEQPACKET = 5;
    private const int SOCK_CLOEXEC = 0x80000;
    private const int MSG_DONTWAIT = 0x40;
    private const int MSG_NOSIGNAL = 0x4000;

    /// <summary>Makes a pair; neither end is inherited unless that is asked for.</summary>
    public static (SafeFileHandle One, SafeFileHandle Other) Create()
    {
        int* ends = stackalloc int[2];
        return LibC.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0
            ? (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true))
            : throw LinuxErrorException.FromLastError("make a pair of sockets");
    }

    /// <summary>Sends a message without ever waiting.</summary>
    /// <returns>False when the other end is gone or takes nothing more.</returns>
    public static bool TrySend(SafeFileHandle end, ReadOnlySpan<byte> message)
    {
        fixed (byte* buffer = message)
        {
            nint count;
            do
            {
                count = LibC.send(end, buffer, (nuint)message.Length, MSG_NOSIGNAL | MSG_DONTWAIT);
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);

            return count == message.Length;
        }
    }

    /// <summary>Takes the next message.</summary>
    /// <param name="end">This end.</param>
    /// <param name="into">Room for a whole message.</param>
    /// <param name="wait">Wait for one; otherwise answer at once.</param>
    /// <returns>Its bytes; 0 when the other end is gone; -1 when there is none now.</returns>
    public static int Receive(SafeFileHandle end, Span<byte> into, bool wait)
    {
        fixed (byte* buffer = into)
        {
            while (true)
            {
                nint count = LibC.recv(end, buffer, (nuint)into.Length, wait ? 0 : MSG_DONTWAIT);
                if (count >= 0)
                {
                    return (int)count;
                }

                switch (Marshal.GetLastPInvokeError())
                {
                    case (int)Errno.EINTR:
                        continue;
                    case (int)Errno.EAGAIN:
                        return -1;
                    default:
                        return 0; // reset: the other end died with unread messages
                }
            }
        }
    }
}
