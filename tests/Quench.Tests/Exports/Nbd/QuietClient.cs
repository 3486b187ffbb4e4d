using System.Buffers.Binary;
using System.Net.Sockets;
using Quench.Exports.Nbd.Wire;

namespace Quench.Tests.Exports.Nbd;

/// <summary>Commands that a server gets many of.</summary>
public enum NbdWork
{
    /// <summary>A read, answered in the old form.</summary>
    Read,

    /// <summary>A read, answered by chunks.</summary>
    ReadInChunks,

    /// <summary>A write.</summary>
    Write,

    /// <summary>A flush.</summary>
    Flush,

    /// <summary>A trim.</summary>
    Trim,

    /// <summary>Zeros.</summary>
    WriteZeroes,
}

/// <summary>A client that allocates nothing while it works: blocking calls, and two buffers of its own.</summary>
internal sealed class QuietClient : IDisposable
{
    private const int BlockSize = 4096;
    private const int GreetingSize = 18;

    private readonly Socket _socket;
    private readonly byte[] _out = new byte[NbdRequest.Size + BlockSize];
    private readonly byte[] _in = new byte[64 * 1024];

    private QuietClient(Socket socket) => _socket = socket;

    internal static QuietClient Connect(System.Net.EndPoint endPoint, bool structured)
    {
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(endPoint);
        QuietClient client = new(socket);
        client.Take(GreetingSize);
        socket.Send([0, 0, 0, (byte)(Greeting.FixedNewstyle | Greeting.NoZeroes)]);
        if (structured)
        {
            client.Ask(NbdOption.StructuredReply, []);
        }

        client.Ask(NbdOption.Go, RawClient.ExportData(""));
        return client;
    }

    /// <summary>Has so many commands served, that many at once, over the start of the device.</summary>
    internal void Run(NbdWork work, int count, int depth, int length)
    {
        int reply = work switch
        {
            NbdWork.Read => SimpleReply.Size + BlockSize,
            NbdWork.ReadInChunks => StructuredReply.Size + 8 + BlockSize,
            _ => SimpleReply.Size,
        };
        for (int i = 0; i < count + depth; i++)
        {
            if (i >= depth)
            {
                Take(reply);
                Check(work);
            }

            if (i < count)
            {
                Say(work, (long)i * BlockSize % length);
            }
        }
    }

    public void Dispose() => _socket.Dispose();

    private void Say(NbdWork work, long offset)
    {
        (NbdCommand command, int data) = work switch
        {
            NbdWork.Write => (NbdCommand.Write, BlockSize),
            NbdWork.Flush => (NbdCommand.Flush, 0),
            NbdWork.Trim => (NbdCommand.Trim, 0),
            NbdWork.WriteZeroes => (NbdCommand.WriteZeroes, 0),
            _ => (NbdCommand.Read, 0),
        };
        BinaryPrimitives.WriteUInt32BigEndian(_out, NbdRequest.Magic);
        BinaryPrimitives.WriteUInt16BigEndian(_out.AsSpan(6), (ushort)command);
        BinaryPrimitives.WriteInt64BigEndian(_out.AsSpan(16), work == NbdWork.Flush ? 0 : offset);
        BinaryPrimitives.WriteInt32BigEndian(_out.AsSpan(24), work == NbdWork.Flush ? 0 : BlockSize);
        _socket.Send(_out.AsSpan(0, NbdRequest.Size + data));
    }

    private void Check(NbdWork work)
    {
        bool isGood = work == NbdWork.ReadInChunks
            ? BinaryPrimitives.ReadUInt16BigEndian(_in.AsSpan(6)) == (ushort)NbdChunk.OffsetData
            : BinaryPrimitives.ReadUInt32BigEndian(_in.AsSpan(4)) == (uint)NbdError.None;
        if (!isGood)
        {
            throw new InvalidOperationException($"{work} was answered by an error");
        }
    }

    private void Ask(NbdOption option, byte[] data)
    {
        byte[] message = new byte[OptionRequest.Size + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(message, Greeting.OptionMagic);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(12), data.Length);
        data.CopyTo(message, OptionRequest.Size);
        _socket.Send(message);
        NbdOptionReply reply;
        do
        {
            Take(OptionReplyHeader.Size);
            reply = (NbdOptionReply)BinaryPrimitives.ReadUInt32BigEndian(_in.AsSpan(12));
            Take(BinaryPrimitives.ReadInt32BigEndian(_in.AsSpan(16)));
        }
        while (reply == NbdOptionReply.Info);

        if (reply != NbdOptionReply.Ack)
        {
            throw new InvalidOperationException($"{option} was refused: {reply}");
        }
    }

    private void Take(int length)
    {
        for (int done = 0; done < length;)
        {
            int got = _socket.Receive(_in.AsSpan(done, length - done));
            done += got > 0 ? got : throw new EndOfStreamException();
        }
    }
}
