using System.Buffers.Binary;
using System.Text;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.PostgreSql;

/// <summary>
/// One session of a PostgreSQL server over its Unix socket: protocol 3.0, simple queries, answers as text. (PostgreSQL manual, "Frontend/Backend Protocol"; messages: its section
/// "Message Formats")
/// </summary>
/// <remarks>
/// <code>
/// 0      1               5
/// ├ type ┼ length ───────┼ body …       big-endian; the length counts itself and not the type; the first message of a session has no type
/// </code>
/// </remarks>
internal sealed class PostgreSqlClient : IDisposable
{
    private const int ProtocolVersion = 3 << 16;
    private const int LengthBytes = 4;

    private readonly ServerLine _line;

    private PostgreSqlClient(ServerLine line) => _line = line;

    /// <summary>Begins a session. Owns the line from here on.</summary>
    /// <exception cref="ServerRefusalException">The server does not let us in.</exception>
    internal static async ValueTask<PostgreSqlClient> LogInAsync(ServerLine line, string user, string database, string? password, CancellationToken cancellationToken)
    {
        try
        {
            await line.SendAsync(Startup(user, database), cancellationToken);
            PostgreSqlClient client = new(line);
            await client.AuthenticateAsync(password, cancellationToken);
            await client.ReadAnswerAsync(cancellationToken); // its settings, until it is ready
            return client;
        }
        catch
        {
            line.Dispose();
            throw;
        }
    }

    /// <summary>Runs one statement.</summary>
    /// <returns>Its rows, each value as text; null is SQL's.</returns>
    /// <exception cref="ServerRefusalException">It failed; the session is as before.</exception>
    internal async ValueTask<IReadOnlyList<string?[]>> QueryAsync(string statement, CancellationToken cancellationToken)
    {
        await SendAsync('Q', [.. Encoding.UTF8.GetBytes(statement), 0], cancellationToken);
        return await ReadAnswerAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _line.Dispose();

    private static byte[] Startup(string user, string database)
    {
        byte[] parameters = Encoding.UTF8.GetBytes($"user\0{user}\0database\0{database}\0application_name\0quench\0client_encoding\0UTF8\0\0");
        byte[] message = new byte[(2 * LengthBytes) + parameters.Length];
        BinaryPrimitives.WriteInt32BigEndian(message, message.Length);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(LengthBytes), ProtocolVersion);
        parameters.CopyTo(message, 2 * LengthBytes);
        return message;
    }

    /// <summary>AuthenticationOk 0, CleartextPassword 3, SASL 10, SASLContinue 11, SASLFinal 12.</summary>
    private async ValueTask AuthenticateAsync(string? password, CancellationToken cancellationToken)
    {
        ScramExchange? scram = null;
        while (true)
        {
            (char type, ReadOnlyMemory<byte> body) = await ReadAsync(cancellationToken);
            if (type == 'E')
            {
                throw Refusal(body.Span);
            }

            if (type != 'R' || body.Length < LengthBytes)
            {
                throw Unknown(type);
            }

            int method = BinaryPrimitives.ReadInt32BigEndian(body.Span);
            string text = Encoding.UTF8.GetString(body.Span[LengthBytes..]);
            switch (method)
            {
                case 0:
                    return;
                case 3:
                    await SendAsync('p', [.. Encoding.UTF8.GetBytes(Needed(password)), 0], cancellationToken);
                    break;
                case 10 when text.Split('\0').Contains(ScramExchange.Mechanism):
                    scram = new ScramExchange("", Needed(password), ScramExchange.NewNonce()); // this server knows the name from the start-up message
                    await SendAsync('p', FirstOf(scram), cancellationToken);
                    break;
                case 11 when scram is not null:
                    await SendAsync('p', Encoding.UTF8.GetBytes(scram.Answer(text)), cancellationToken);
                    break;
                case 12 when scram is not null:
                    scram.Check(text);
                    break;
                default:
                    throw new ServerRefusalException("28000", $"the server asks for a way of authentication ({method}) that is not spoken here: use peer, trust or scram-sha-256");
            }
        }
    }

    private static byte[] FirstOf(ScramExchange scram)
    {
        byte[] first = Encoding.UTF8.GetBytes(scram.First);
        byte[] length = new byte[LengthBytes];
        BinaryPrimitives.WriteInt32BigEndian(length, first.Length);
        return [.. Encoding.UTF8.GetBytes(ScramExchange.Mechanism), 0, .. length, .. first];
    }

    private static string Needed(string? password) =>
        password ?? throw new ServerRefusalException("28000", "the server asks for a password and none is set: name its file with postgresql.password-file");

    /// <summary>Everything up to ReadyForQuery. An error is thrown after it, when the conversation is whole again.</summary>
    private async ValueTask<IReadOnlyList<string?[]>> ReadAnswerAsync(CancellationToken cancellationToken)
    {
        List<string?[]> rows = [];
        ServerRefusalException? refusal = null;
        while (true)
        {
            (char type, ReadOnlyMemory<byte> body) = await ReadAsync(cancellationToken);
            switch (type)
            {
                case 'D':
                    rows.Add(Row(body.Span));
                    break;
                case 'E':
                    refusal ??= Refusal(body.Span);
                    break;
                case 'Z':
                    return refusal is null ? rows : throw refusal;
                case 'T' or 'C' or 'I' or 'S' or 'K' or 'N' or 'A': // columns, done, empty; a setting, the cancel key, a notice, a notification
                    break;
                default:
                    throw Unknown(type);
            }
        }
    }

    private async ValueTask<(char Type, ReadOnlyMemory<byte> Body)> ReadAsync(CancellationToken cancellationToken)
    {
        ReadOnlyMemory<byte> head = await _line.TakeAsync(1 + LengthBytes, cancellationToken);
        char type = (char)head.Span[0];
        int length = BinaryPrimitives.ReadInt32BigEndian(head.Span[1..]);
        return length >= LengthBytes
            ? (type, await _line.TakeAsync(length - LengthBytes, cancellationToken))
            : throw new ProtocolException($"the server's message '{type}' has a length of {length}");
    }

    private async ValueTask SendAsync(char type, byte[] body, CancellationToken cancellationToken)
    {
        byte[] message = new byte[1 + LengthBytes + body.Length];
        message[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), LengthBytes + body.Length);
        body.CopyTo(message, 1 + LengthBytes);
        await _line.SendAsync(message, cancellationToken);
    }

    /// <summary>DataRow: the number of values, 2 bytes; then each value's length, 4 bytes, -1 for null, and its text.</summary>
    private static string?[] Row(ReadOnlySpan<byte> body)
    {
        int count = body.Length >= 2 ? BinaryPrimitives.ReadInt16BigEndian(body) : -1;
        if (count < 0 || count > body.Length / LengthBytes)
        {
            throw new ProtocolException("the server's row makes no sense");
        }

        string?[] row = new string?[count];
        body = body[2..];
        for (int i = 0; i < count; i++)
        {
            int length = body.Length >= LengthBytes ? BinaryPrimitives.ReadInt32BigEndian(body) : int.MinValue;
            if (length < -1 || length > body.Length - LengthBytes)
            {
                throw new ProtocolException("the server's row is shorter than it says");
            }

            row[i] = length < 0 ? null : Encoding.UTF8.GetString(body.Slice(LengthBytes, length));
            body = body[(LengthBytes + Math.Max(0, length))..];
        }

        return row;
    }

    /// <summary>ErrorResponse: fields of one letter and a text that ends with a zero; C is the SQLSTATE, M the message.</summary>
    private static ServerRefusalException Refusal(ReadOnlySpan<byte> body)
    {
        string[] fields = Encoding.UTF8.GetString(body).Split('\0');
        return new ServerRefusalException(Field('C') ?? "unknown", Field('M') ?? "it did not say why");

        string? Field(char name) => fields.FirstOrDefault(field => field.Length > 1 && field[0] == name)?[1..];
    }

    private static ProtocolException Unknown(char type) => new($"the server's message '{(char.IsAsciiLetterOrDigit(type) ? type : '?')}' was not expected");
}
