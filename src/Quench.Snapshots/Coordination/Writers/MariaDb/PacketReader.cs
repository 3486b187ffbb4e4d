using System.Buffers.Binary;
using System.Text;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.MariaDb;

/// <summary>Reads a packet's body from front to back. (MariaDB documentation, "Protocol Data Types")</summary>
/// <remarks>Everything that leaves the packet is a <see cref="ProtocolException"/>.</remarks>
internal ref struct PacketReader(ReadOnlySpan<byte> body)
{
    private const byte Null = 0xFB;

    private ReadOnlySpan<byte> _rest = body;

    internal readonly int Left => _rest.Length;

    internal byte Byte() => Bytes(1)[0];

    internal ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(sizeof(ushort)));

    internal uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(sizeof(uint)));

    internal ReadOnlySpan<byte> Bytes(long count)
    {
        if (count > _rest.Length)
        {
            throw new ProtocolException("the server's packet is shorter than it says");
        }

        ReadOnlySpan<byte> taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }

    /// <summary>A text that ends with a zero, or with the packet.</summary>
    internal string ZeroEnded()
    {
        int end = _rest.IndexOf((byte)0);
        string text = Encoding.UTF8.GetString(end < 0 ? _rest : _rest[..end]);
        _rest = end < 0 ? [] : _rest[(end + 1)..];
        return text;
    }

    internal string Rest() => Encoding.UTF8.GetString(Bytes(_rest.Length));

    /// <summary>A length-encoded string; null is SQL's.</summary>
    internal string? Text()
    {
        if (Left > 0 && _rest[0] == Null)
        {
            Byte();
            return null;
        }

        return Encoding.UTF8.GetString(Bytes(LengthEncoded()));
    }

    /// <summary>A length-encoded integer: one byte up to 250, otherwise 0xFC, 0xFD or 0xFE and two, three or eight bytes.</summary>
    internal long LengthEncoded()
    {
        byte first = Byte();
        switch (first)
        {
            case < Null:
                return first;
            case 0xFC:
                return UInt16();
            case 0xFD:
                ReadOnlySpan<byte> three = Bytes(3);
                return three[0] | (three[1] << 8) | (three[2] << 16);
            case 0xFE when BinaryPrimitives.ReadInt64LittleEndian(Bytes(sizeof(long))) is >= 0 and var eight:
                return eight;
            default:
                throw new ProtocolException("the server's packet has a length that is none");
        }
    }
}
