using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>Who is at the other end of a Unix socket, as the kernel knows it. (unix(7), SO_PEERCRED)</summary>
public static class PeerCredentials
{
    private const int SOL_SOCKET = 1;
    private const int SO_PEERCRED = 17;
    private const int CredentialsSize = 12; // struct ucred: pid, uid, gid

    /// <summary>The user who connected, or who began to listen, by number.</summary>
    public static uint UserOf(Socket socket)
    {
        Span<byte> credentials = stackalloc byte[CredentialsSize];
        int length = socket.GetRawSocketOption(SOL_SOCKET, SO_PEERCRED, credentials);
        return length == CredentialsSize ? MemoryMarshal.Read<uint>(credentials[4..]) : throw new SocketException((int)SocketError.ProtocolOption);
    }
}
