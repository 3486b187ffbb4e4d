using System.Buffers.Binary;
using System.Text;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>The server's side of a conversation, written down beforehand: its words come in small pieces, and what it is told goes nowhere.</summary>
internal sealed class ScriptedServer(byte[] words, int pieceBytes = 7) : Stream
{
    private int _at;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        int count = Math.Min(Math.Min(buffer.Length, pieceBytes), words.Length - _at);
        words.AsSpan(_at, count).CopyTo(buffer);
        _at += count;
        return count;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.FromResult(Read(buffer.Span));

    public override void Write(byte[] buffer, int offset, int count)
    {
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => default;

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>A MariaDB packet.</summary>
    internal static byte[] Packet(byte number, params ReadOnlySpan<byte> body) => [(byte)body.Length, 0, 0, number, .. body];

    /// <summary>A PostgreSQL message.</summary>
    internal static byte[] Message(char type, params ReadOnlySpan<byte> body)
    {
        byte[] message = [(byte)type, 0, 0, 0, 0, .. body];
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + body.Length);
        return message;
    }

    internal static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);
}
