using System.Globalization;
using System.Text;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.Redis;

/// <summary>One connection to a Redis server: RESP2. (Redis documentation, "Redis serialization protocol specification")</summary>
/// <remarks>
/// <code>
/// request   *3 $3 SET $1 k $1 v          each part ended by CR LF
/// answer    +OK   -ERR …   :7   $5 hello   *2 …
/// </code>
/// </remarks>
internal sealed class RedisClient(ServerLine line) : IDisposable
{
    private const int MostParts = 100_000;

    /// <summary>Sends one command and takes its answer.</summary>
    /// <returns>The answer's texts: one for a status, a number or a text; as many as it has for a list. Null is the server's.</returns>
    /// <exception cref="ServerRefusalException">It failed; the connection is as before.</exception>
    internal async ValueTask<IReadOnlyList<string?>> AskAsync(CancellationToken cancellationToken, params IReadOnlyList<string> command)
    {
        await line.SendAsync(Request(command), cancellationToken);
        string head = Encoding.UTF8.GetString((await line.TakeLineAsync(cancellationToken)).Span);
        if (head.StartsWith('*'))
        {
            int count = Number(head, MostParts);
            List<string?> parts = [];
            for (int i = 0; i < count; i++)
            {
                parts.Add(await TakeAsync(Encoding.UTF8.GetString((await line.TakeLineAsync(cancellationToken)).Span), cancellationToken));
            }

            return parts;
        }

        return [await TakeAsync(head, cancellationToken)];
    }

    /// <summary>A command as it goes over the line.</summary>
    internal static byte[] Request(IReadOnlyList<string> command)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"*{command.Count}\r\n");
        foreach (string part in command)
        {
            text.Append(CultureInfo.InvariantCulture, $"${Encoding.UTF8.GetByteCount(part)}\r\n{part}\r\n");
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>Sends a last command without waiting for its answer, and hangs up.</summary>
    internal void DisposeWith(params IReadOnlyList<string> command) => line.DisposeWith(Request(command));

    /// <inheritdoc/>
    public void Dispose() => line.Dispose();

    private async ValueTask<string?> TakeAsync(string head, CancellationToken cancellationToken)
    {
        switch (head)
        {
            case ['+' or ':', .. var text]:
                return text;
            case ['-', .. var text]:
                throw new ServerRefusalException(text.Split(' ')[0], text);
            case "$-1":
                return null;
            case ['$', ..]:
                int length = Number(head, ServerLine.LongestPiece - 2);
                ReadOnlyMemory<byte> body = await line.TakeAsync(length + 2, cancellationToken);
                return body.Span.EndsWith("\r\n"u8) ? Encoding.UTF8.GetString(body.Span[..length]) : throw new ProtocolException("the server's text does not end where it said");
            default:
                throw new ProtocolException("the server's answer is of no known kind");
        }
    }

    private static int Number(string head, int most) =>
        int.TryParse(head.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= most
            ? number
            : throw new ProtocolException("the server's answer has a length that is none");
}
