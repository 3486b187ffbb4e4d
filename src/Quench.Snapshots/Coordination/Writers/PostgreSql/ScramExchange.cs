using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.PostgreSql;

/// <summary>
/// A password proved to the server, and the server's knowledge of it proved to us, without sending it. (RFC 5802 §3 and §5, with SHA-256: RFC 7677; without channel binding: there is no TLS
/// on a Unix socket)
/// </summary>
internal sealed class ScramExchange(string user, string password, string nonce)
{
    internal const string Mechanism = "SCRAM-SHA-256";

    private const string NoChannelBinding = "n,,";
    private const string NoChannelBindingInBase64 = "biws";
    private const int MostIterations = 10_000_000; // some seconds: a server that asks for more is none of ours

    private readonly string _firstBare = $"n={user},r={nonce}";

    private byte[] _serverSignature = [];

    internal static string NewNonce() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(18));

    /// <summary>What the client says first.</summary>
    internal string First => NoChannelBinding + _firstBare;

    /// <summary>The answer to the server's challenge.</summary>
    /// <param name="challenge">"r=nonce,s=salt,i=iterations".</param>
    /// <exception cref="ProtocolException">It is none, or for somebody else.</exception>
    internal string Answer(string challenge)
    {
        string[] parts = challenge.Split(',');
        if (parts.Length < 3 || Value(parts[0], 'r') is not { } both || !both.StartsWith(nonce, StringComparison.Ordinal) || both.Length == nonce.Length
            || Value(parts[1], 's') is not { } salt || Value(parts[2], 'i') is not { } count
            || !int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int iterations) || iterations is < 1 or > MostIterations
            || FromBase64(salt) is not { } saltBytes)
        {
            throw new ProtocolException("the server's password challenge makes no sense");
        }

        byte[] salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), saltBytes, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        byte[] clientKey = HMACSHA256.HashData(salted, "Client Key"u8);
        string withoutProof = $"c={NoChannelBindingInBase64},r={both}";
        byte[] conversation = Encoding.UTF8.GetBytes($"{_firstBare},{challenge},{withoutProof}");
        byte[] proof = HMACSHA256.HashData(SHA256.HashData(clientKey), conversation);
        for (int i = 0; i < proof.Length; i++)
        {
            proof[i] ^= clientKey[i];
        }

        _serverSignature = HMACSHA256.HashData(HMACSHA256.HashData(salted, "Server Key"u8), conversation);
        return $"{withoutProof},p={Convert.ToBase64String(proof)}";
    }

    /// <summary>Checks that the server knows the password too.</summary>
    /// <param name="final">"v=signature".</param>
    /// <exception cref="ProtocolException">It does not.</exception>
    internal void Check(string final)
    {
        if (Value(final, 'v') is not { } text || FromBase64(text) is not { } signature || !CryptographicOperations.FixedTimeEquals(signature, _serverSignature))
        {
            throw new ProtocolException("the server has not proved that it knows the password");
        }
    }

    private static string? Value(string part, char name) => part.Length > 2 && part[0] == name && part[1] == '=' ? part[2..] : null;

    private static byte[]? FromBase64(string text)
    {
        byte[] bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out int length) ? bytes[..length] : null;
    }
}
