using System.Globalization;
using System.Text;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.MariaDb;

/// <summary>
/// One session of a MariaDB server over its Unix socket: text queries, answers as text. (MariaDB documentation, "Client/Server Protocol": "0-Packet", "COM_QUERY", "OK_Packet",
/// "ERR_Packet", "Result Set Packets")
/// </summary>
/// <remarks>
/// <code>
/// 0        3       4
/// ├ length ┼ number ┼ body …       little-endian; numbers count up from 0 in each exchange, both sides together
/// </code>
/// </remarks>
internal sealed class MariaDbClient : IDisposable
{
    private const int HeadBytes = 4;
    private const byte Query = 0x03;
    private const byte Ok = 0x00;
    private const byte LocalFile = 0xFB;
    private const byte EndOrSwitch = 0xFE;
    private const byte Error = 0xFF;
    private const int LongestEnd = 9; // a row may begin with 0xFE as well, and is longer then
    private const int MostColumns = 4096;

    private readonly ServerLine _line;
    private byte _number;

    private MariaDbClient(ServerLine line) => _line = line;

    /// <summary>Begins a session. Owns the line from here on.</summary>
    /// <exception cref="ServerRefusalException">The server does not let us in.</exception>
    internal static async ValueTask<MariaDbClient> LogInAsync(ServerLine line, string user, string? password, CancellationToken cancellationToken)
    {
        try
        {
            MariaDbClient client = new(line);
            await client.AuthenticateAsync(user, password, cancellationToken);
            return client;
        }
        catch
        {
            line.Dispose();
            throw;
        }
    }

    /// <summary>Runs one statement.</summary>
    /// <returns>Its rows, each value as text; none for a statement that has no result.</returns>
    /// <exception cref="ServerRefusalException">It failed; the session is as before.</exception>
    internal async ValueTask<IReadOnlyList<string?[]>> QueryAsync(string statement, CancellationToken cancellationToken)
    {
        _number = 0;
        await SendAsync([Query, .. Encoding.UTF8.GetBytes(statement)], cancellationToken);
        ReadOnlyMemory<byte> first = await ReadAsync(cancellationToken);
        switch (Kind(first.Span))
        {
            case Ok:
                return [];
            case Error:
                throw Refusal(first.Span);
            case LocalFile:
                throw new ProtocolException("the server asks for a file of ours");
            default:
                return await ReadRowsAsync(ColumnCount(first.Span), cancellationToken);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _line.Dispose();

    private async ValueTask AuthenticateAsync(string user, string? password, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> greeting = await ReadAsync(cancellationToken);
        if (Kind(greeting.Span) == Error)
        {
            throw Refusal(greeting.Span); // too many connections, for one
        }

        await SendAsync(MariaDbHandshake.Response(user, password, MariaDbHandshake.ReadScramble(greeting.Span)), cancellationToken);
        while (true)
        {
            ReadOnlyMemory<byte> answer = await ReadAsync(cancellationToken);
            switch (Kind(answer.Span))
            {
                case Ok:
                    return;
                case Error:
                    throw Refusal(answer.Span);
                case EndOrSwitch:
                    await SendAsync(Switched(answer.Span, password), cancellationToken);
                    break;
                default:
                    throw new ProtocolException("the server's answer to the name and password makes no sense");
            }
        }
    }

    /// <summary>AuthSwitchRequest: 0xFE, the plugin's name, its data.</summary>
    private static byte[] Switched(ReadOnlySpan<byte> body, string? password)
    {
        PacketReader reader = new(body[1..]);
        string plugin = reader.ZeroEnded();
        return plugin switch
        {
            MariaDbHandshake.NativePassword => MariaDbHandshake.Proof(password, reader.Bytes(Math.Min(reader.Left, 20))),
            "auth_socket" or "unix_socket" => [],
            _ => throw new ServerRefusalException("plugin", $"the server asks for {plugin}, which is not spoken here: use unix_socket or {MariaDbHandshake.NativePassword} for this user"),
        };
    }

    /// <summary>Column definitions, an end, rows, an end.</summary>
    private async ValueTask<IReadOnlyList<string?[]>> ReadRowsAsync(int columns, CancellationToken cancellationToken)
    {
        for (int i = 0; i < columns; i++)
        {
            await ReadAsync(cancellationToken);
        }

        if (!IsEnd((await ReadAsync(cancellationToken)).Span))
        {
            throw new ProtocolException("the server's columns do not end where it said");
        }

        List<string?[]> rows = [];
        while (true)
        {
            ReadOnlyMemory<byte> row = await ReadAsync(cancellationToken);
            if (IsEnd(row.Span))
            {
                return rows;
            }

            if (Kind(row.Span) == Error)
            {
                throw Refusal(row.Span);
            }

            rows.Add(Row(row.Span, columns));
        }
    }

    private static string?[] Row(ReadOnlySpan<byte> body, int columns)
    {
        PacketReader reader = new(body);
        string?[] row = new string?[columns];
        for (int i = 0; i < columns; i++)
        {
            row[i] = reader.Text();
        }

        return row;
    }

    private static int ColumnCount(ReadOnlySpan<byte> body)
    {
        PacketReader reader = new(body);
        return reader.LengthEncoded() is > 0 and <= MostColumns and var count ? (int)count : throw new ProtocolException("the server's answer has no columns, or too many");
    }

    private static bool IsEnd(ReadOnlySpan<byte> body) => Kind(body) == EndOrSwitch && body.Length < LongestEnd;

    private static byte Kind(ReadOnlySpan<byte> body) => body.IsEmpty ? throw new ProtocolException("the server's packet is empty") : body[0];

    /// <summary>ERR_Packet: 0xFF, the number, '#' and five characters of SQLSTATE, the message.</summary>
    private static ServerRefusalException Refusal(ReadOnlySpan<byte> body)
    {
        PacketReader reader = new(body[1..]);
        string code = reader.UInt16().ToString(CultureInfo.InvariantCulture);
        string text = reader.Rest();
        return new ServerRefusalException(code, text is ['#', _, _, _, _, _, ..] ? text[6..] : text);
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> head = await _line.TakeAsync(HeadBytes, cancellationToken);
        int length = head.Span[0] | (head.Span[1] << 8) | (head.Span[2] << 16);
        if (head.Span[3] != _number)
        {
            throw new ProtocolException($"the server's packet has number {head.Span[3]} instead of {_number}");
        }

        unchecked
        {
            _number++; // wraps, as the protocol says
        }

        return await _line.TakeAsync(length, cancellationToken);
    }

    private async ValueTask SendAsync(byte[] body, CancellationToken cancellationToken)
    {
        byte[] packet = [(byte)(body.Length & 0xFF), (byte)((body.Length >> 8) & 0xFF), (byte)(body.Length >> 16), _number, .. body];
        unchecked
        {
            _number++;
        }

        await _line.SendAsync(packet, cancellationToken);
    }
}
