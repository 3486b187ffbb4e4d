using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Quench.Exports.Nbd.Wire;

namespace Quench.Tests.Exports.Nbd;

/// <summary>A client that says exactly what a test wants to be said.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket _socket;
    private readonly NetworkStream _stream;

    private RawClient(Socket socket)
    {
        _socket = socket;
        _stream = new NetworkStream(socket, ownsSocket: true);
    }

    public NetworkStream Stream => _stream;

    public static async Task<RawClient> ConnectAsync(System.Net.EndPoint endPoint, CancellationToken token)
    {
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, endPoint.AddressFamily == AddressFamily.Unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        await socket.ConnectAsync(endPoint, token);
        return new RawClient(socket);
    }

    /// <summary>Takes the greeting and answers it.</summary>
    public async Task GreetAsync(CancellationToken token, uint flags = 3)
    {
        await ReadAsync(18, token);
        byte[] answer = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(answer, flags);
        await _stream.WriteAsync(answer, token);
    }

    public async Task OptionAsync(uint option, byte[] data, CancellationToken token)
    {
        byte[] message = new byte[16 + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(message, Greeting.OptionMagic);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(8), option);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(12), data.Length);
        data.CopyTo(message, 16);
        await _stream.WriteAsync(message, token);
    }

    /// <summary>Takes one reply to an option.</summary>
    public async Task<(uint Type, byte[] Data)> ReplyAsync(CancellationToken token)
    {
        byte[] header = await ReadAsync(20, token);
        return (BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(12)), await ReadAsync(BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(16)), token));
    }

    /// <summary>Says an option and takes replies until the last.</summary>
    public async Task<List<(uint Type, byte[] Data)>> AskAsync(uint option, byte[] data, CancellationToken token)
    {
        await OptionAsync(option, data, token);
        List<(uint Type, byte[] Data)> replies = [];
        do
        {
            replies.Add(await ReplyAsync(token));
        }
        while (replies[^1].Type is not 1 and < 0x8000_0000);

        return replies;
    }

    public async Task GoAsync(string export, CancellationToken token)
    {
        await GreetAsync(token);
        List<(uint Type, byte[] Data)> replies = await AskAsync(7, ExportData(export), token);
        if (replies[^1].Type != 1)
        {
            throw new InvalidOperationException($"refused: 0x{replies[^1].Type:x}");
        }
    }

    public async Task CommandAsync(ushort type, ulong offset, uint length, CancellationToken token, ushort flags = 0, byte[]? data = null, ulong cookie = 7)
    {
        byte[] message = new byte[28 + (data?.Length ?? 0)];
        BinaryPrimitives.WriteUInt32BigEndian(message, NbdRequest.Magic);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(4), flags);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(6), type);
        BinaryPrimitives.WriteUInt64BigEndian(message.AsSpan(8), cookie);
        BinaryPrimitives.WriteUInt64BigEndian(message.AsSpan(16), offset);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(24), length);
        data?.CopyTo(message, 28);
        await _stream.WriteAsync(message, token);
    }

    /// <summary>Takes a simple reply.</summary>
    public async Task<(uint Error, ulong Cookie)> SimpleAsync(CancellationToken token)
    {
        byte[] reply = await ReadAsync(16, token);
        return BinaryPrimitives.ReadUInt32BigEndian(reply) == SimpleReply.Magic
            ? (BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(4)), BinaryPrimitives.ReadUInt64BigEndian(reply.AsSpan(8)))
            : throw new InvalidOperationException("not a simple reply");
    }

    public async Task<byte[]> ReadAsync(int length, CancellationToken token)
    {
        byte[] bytes = new byte[length];
        await _stream.ReadExactlyAsync(bytes, token);
        return bytes;
    }

    /// <summary>Whether the server has closed the connection, after whatever else it had to say.</summary>
    public async Task<bool> IsClosedAsync(CancellationToken token)
    {
        byte[] bytes = new byte[4096];
        try
        {
            while (await _stream.ReadAsync(bytes, token) > 0)
            {
            }
        }
        catch (IOException)
        {
        }

        return true;
    }

    public static byte[] ExportData(string export)
    {
        byte[] name = Encoding.UTF8.GetBytes(export);
        byte[] data = new byte[4 + name.Length + 2];
        BinaryPrimitives.WriteInt32BigEndian(data, name.Length);
        name.CopyTo(data, 4);
        return data;
    }

    public void Dispose() => _stream.Dispose();
}
