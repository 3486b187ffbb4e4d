using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>
/// Connects as another user. A server that knows its clients by the user at the other end of a Unix socket sees who called connect(2), so root can speak to it as its own user, without a
/// password and without a second program. (unix(7), SO_PEERCRED; credentials(7): the kernel keeps them for each thread)
/// </summary>
/// <remarks>
/// A thread inherits the user of the thread that starts it, for good. So nothing that could start one, neither the pool nor the runtime's own compiler, may run while a thread is somebody else: between
/// the two changes there are three system calls, made through a bare function pointer by a method that is compiled once and for all, and no managed call.
/// </remarks>
public static class PeerIdentity
{
    private const int AF_UNIX = 1;
    private const int SOCK_STREAM = 1;
    private const int SOCK_NONBLOCK = 0x800;
    private const int SOCK_CLOEXEC = 0x80000;
    private const nint SYS_connect = 42;
    private const nint Arm64Connect = 203;
    private const nint SYS_setresuid = 117;
    private const nint Arm64SetResUserId = 147;
    private const nint Unchanged = -1;
    private const nint NotBack = -2;

    /// <summary>From one look at a server that has no room in its queue to the next.</summary>
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(10);

    /// <summary>Connects to a Unix socket; the server sees that user. The process and its threads stay who they are.</summary>
    /// <param name="userId">The user.</param>
    /// <param name="where">The server's socket.</param>
    /// <param name="cancellationToken">Ends the wait for a server whose queue is full.</param>
    /// <returns>The connection, the caller's to dispose.</returns>
    /// <exception cref="LinuxErrorException">Nobody answers there, or this process may not be that user.</exception>
    public static async Task<Socket> ConnectAsync(uint userId, UnixDomainSocketEndPoint where, CancellationToken cancellationToken)
    {
        int descriptor = LibC.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (descriptor < 0)
        {
            throw LinuxErrorException.FromLastError("make a socket");
        }

        SafeSocketHandle handle = new(descriptor, ownsHandle: true);
        try
        {
            SocketAddress address = where.Serialize();
            while (true)
            {
                Errno error = Connect(descriptor, address.Buffer.Span[..address.Size], (nint)userId);
                if (error == 0)
                {
                    return new Socket(handle);
                }

                if (error != Errno.EAGAIN)
                {
                    throw new LinuxErrorException(error, $"connect as user {userId} to", where.ToString());
                }

                await Task.Delay(s_look, cancellationToken);
            }
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static unsafe Errno Connect(int descriptor, ReadOnlySpan<byte> address, nint user)
    {
        nint library = NativeLibrary.Load(Libraries.LibC, typeof(PeerIdentity).Assembly, null);
        var system = (delegate* unmanaged<nint, nint, nint, nint, nint>)NativeLibrary.GetExport(library, "syscall");
        fixed (byte* bytes = address)
        {
            nint outcome = ConnectAs(system, descriptor, bytes, address.Length, user, (nint)LibC.geteuid());
            Errno error = outcome == 0 ? 0 : (Errno)Marshal.GetLastSystemError();
            if (outcome == NotBack)
            {
                Environment.FailFast($"this thread can't be who it was after a connection as user {user}: {error}");
            }

            return error;
        }
    }

    /// <summary>The three calls. The C library's own function for the first and the last would change every thread of the process.</summary>
    /// <param name="system">syscall(2).</param>
    /// <param name="descriptor">The socket, which does not wait.</param>
    /// <param name="address">Where to.</param>
    /// <param name="length">Its length in bytes.</param>
    /// <param name="user">Who we are meanwhile.</param>
    /// <param name="self">Who we are.</param>
    /// <returns>0, or -1 with the error left in errno: a call that works does not touch it; <see cref="NotBack"/> when the thread did not get its user back.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static unsafe nint ConnectAs(delegate* unmanaged<nint, nint, nint, nint, nint> system, nint descriptor, byte* address, nint length, nint user, nint self)
    {
        bool isArm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
        nint setUsers = isArm ? Arm64SetResUserId : SYS_setresuid;
        nint connect = isArm ? Arm64Connect : SYS_connect;
        if (system(setUsers, Unchanged, user, Unchanged) != 0)
        {
            return -1;
        }

        nint outcome = system(connect, descriptor, (nint)address, length);
        return system(setUsers, Unchanged, self, Unchanged) == 0 ? outcome : NotBack;
    }
}
