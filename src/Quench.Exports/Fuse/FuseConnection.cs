using Microsoft.Win32.SafeHandles;
using Quench.Exports.Fuse.Wire;
using Quench.Interop.Fuse;
using Quench.Interop.Linux;

namespace Quench.Exports.Fuse;

/// <summary>What was agreed on with the kernel when the connection was made. It holds for the connection's whole life, whoever serves it.</summary>
/// <param name="Minor">The minor version of the interface, 7.x.</param>
/// <param name="MaxTransfer">The largest read or write, in bytes.</param>
/// <param name="CanResend">The kernel gives the requests of a server that died to the next one. (FUSE 7.40, FUSE_HAS_RESEND; Linux 6.9)</param>
public readonly record struct FuseAgreement(int Minor, int MaxTransfer, bool CanResend);

/// <summary>
/// A mounted connection that nobody serves yet. It is apart from <see cref="FuseSession"/>, so that the process that holds it can be another one
/// than those that serve it: as long as a descriptor of it is open anywhere, requests wait for a server and none fails.
/// </summary>
public sealed class FuseConnection : IDisposable
{
    private const int PageSize = 4096;
    private const int ReplyHeaderSize = 16;
    private const int MaxBackground = 64;

    private readonly string _directory;

    private FuseConnection(SafeFileHandle handle, string directory, FuseAgreement agreement)
    {
        Handle = handle;
        _directory = directory;
        Agreement = agreement;
    }

    /// <summary>The connection's descriptor.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>What was agreed on.</summary>
    public FuseAgreement Agreement { get; }

    /// <summary>Mounts a new connection and agrees with the kernel.</summary>
    /// <param name="directory">An existing, empty directory.</param>
    /// <param name="name">What mount(8) shows as the source.</param>
    public static FuseConnection Mount(string directory, string name)
    {
        SafeFileHandle handle = FuseDevice.Open();
        try
        {
            FuseDevice.Mount(handle, directory, name, FuseSession.MaxTransfer);
            return new FuseConnection(handle, directory, Agree(handle, directory));
        }
        catch
        {
            FuseDevice.TryUnmount(directory, detach: true);
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Unmounts the directory and closes the descriptor; requests that nobody has answered fail.</summary>
    public void Dispose()
    {
        FuseDevice.TryUnmount(_directory, detach: true);
        Handle.Dispose();
    }

    /// <summary>Agrees with the kernel on sizes and features. The first request of every connection is this one.</summary>
    private static FuseAgreement Agree(SafeFileHandle handle, string directory)
    {
        byte[] buffer = new byte[PageSize + FuseSession.MaxTransfer + PageSize];
        int count = FuseSession.Receive(handle, buffer);
        if (count < RequestHeader.Size)
        {
            throw new LinuxErrorException(count < 0 ? (Errno)(-count) : Errno.EIO, "start serving", directory);
        }

        RequestHeader header = new(buffer);
        ReadOnlySpan<byte> arguments = buffer.AsSpan(RequestHeader.Size, count - RequestHeader.Size);
        int minor = InitMessage.ReadMinor(arguments);
        ulong offered = InitMessage.ReadFlags(arguments);
        const ulong Wanted = InitMessage.AsyncDirectIo | InitMessage.MaxPages;
        if (header.Opcode != FuseOpcode.Init || InitMessage.ReadMajor(arguments) != InitMessage.Major || minor < InitMessage.MinorMin
            || (offered & Wanted) != Wanted)
        {
            throw new NotSupportedException($"this kernel speaks FUSE 7.{minor}; Quench needs 7.{InitMessage.MinorMin} with asynchronous direct I/O");
        }

        minor = Math.Min(minor, InitMessage.MinorMax);
        byte[] reply = new byte[ReplyHeaderSize + InitMessage.ReplySize];
        InitMessage.WriteReply(
            reply.AsSpan(ReplyHeaderSize), minor, Wanted, MaxBackground, FuseSession.MaxTransfer, FuseSession.MaxTransfer / PageSize);
        ReplyHeader.Write(reply, reply.Length, 0, header.Unique);
        int sent = FuseDevice.Send(handle, reply);
        return sent == 0
            ? new FuseAgreement(minor, FuseSession.MaxTransfer, minor >= InitMessage.MinorResend && (offered & InitMessage.HasResend) != 0)
            : throw new LinuxErrorException((Errno)(-sent), "start serving", directory);
    }
}
