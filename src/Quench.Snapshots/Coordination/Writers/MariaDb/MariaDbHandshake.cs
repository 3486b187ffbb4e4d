using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.MariaDb;

/// <summary>The first packets of a session. (MariaDB documentation, "Connecting": "Initial Handshake Packet", "Handshake Response Packet"; the scramble: "Authentication Plugin - mysql_native_password")</summary>
internal static class MariaDbHandshake
{
    internal const string NativePassword = "mysql_native_password";

    private const byte Version10 = 10;
    private const int ScrambleBytes = 20;
    private const int FirstScrambleBytes = 8;
    private const uint ClientLongPassword = 1;
    private const uint ClientProtocol41 = 1 << 9;
    private const uint ClientSecureConnection = 1 << 15;
    private const uint ClientPluginAuth = 1 << 19;
    private const uint Capabilities = ClientLongPassword | ClientProtocol41 | ClientSecureConnection | ClientPluginAuth;
    private const byte Utf8mb4 = 45;

    /// <summary>
    /// Reads what the server says first: version, its text, connection, 8 bytes of scramble, capabilities, character set, status, capabilities, length of the scramble, filler,
    /// 12 more bytes of scramble and a zero.
    /// </summary>
    /// <returns>The 20 bytes that a password is mixed with.</returns>
    internal static byte[] ReadScramble(ReadOnlySpan<byte> body)
    {
        PacketReader reader = new(body);
        if (reader.Byte() != Version10)
        {
            throw new ProtocolException("the server does not speak the protocol's version 10");
        }

        reader.ZeroEnded();
        reader.UInt32();
        byte[] scramble = new byte[ScrambleBytes];
        reader.Bytes(FirstScrambleBytes).CopyTo(scramble);
        reader.Byte();
        uint capabilities = reader.UInt16();
        reader.Bytes(1 + 2);
        capabilities |= (uint)reader.UInt16() << 16;
        if ((capabilities & Capabilities & ~ClientLongPassword) != (Capabilities & ~ClientLongPassword)) // MariaDB uses that bit for something of its own
        {
            throw new ProtocolException("the server is too old: it can't change its way of authentication");
        }

        reader.Bytes(1 + 6 + 4);
        reader.Bytes(ScrambleBytes - FirstScrambleBytes).CopyTo(scramble.AsSpan(FirstScrambleBytes));
        return scramble;
    }

    internal static byte[] Response(string user, string? password, ReadOnlySpan<byte> scramble)
    {
        byte[] name = Encoding.UTF8.GetBytes(user);
        byte[] proof = Proof(password, scramble);
        byte[] head = new byte[32]; // capabilities, longest packet, character set, 23 zeros
        BinaryPrimitives.WriteUInt32LittleEndian(head, Capabilities);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(4), ServerLine.LongestPiece);
        head[8] = Utf8mb4;
        return [.. head, .. name, 0, (byte)proof.Length, .. proof, .. Encoding.UTF8.GetBytes(NativePassword), 0];
    }

    /// <summary>SHA1(password) xor SHA1(scramble, SHA1(SHA1(password))); nothing for no password.</summary>
    internal static byte[] Proof(string? password, ReadOnlySpan<byte> scramble)
    {
        if (string.IsNullOrEmpty(password))
        {
            return [];
        }

#pragma warning disable CA5350 // the server's protocol demands it; it goes over a Unix socket only
        byte[] once = SHA1.HashData(Encoding.UTF8.GetBytes(password));
        byte[] proof = SHA1.HashData([.. scramble, .. SHA1.HashData(once)]);
#pragma warning restore CA5350
        for (int i = 0; i < proof.Length; i++)
        {
            proof[i] ^= once[i];
        }

        return proof;
    }
}
