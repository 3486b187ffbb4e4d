using System.Security.Cryptography.X509Certificates;

namespace Quench.Exports.Nbd;

/// <summary>What a server serves, to whom, and how much it lets any client have.</summary>
public sealed record NbdServerOptions
{
    /// <summary>The exports; their names differ. Not disposed by the server.</summary>
    public required IReadOnlyList<NbdExport> Exports { get; init; }

    /// <summary>Null: no encryption, and a client that asks for it is told so. Otherwise it is required, and nothing is said to a client before it.</summary>
    public NbdTls? Tls { get; init; }

    /// <summary>
    /// Connections at once, each of which may cost 4 MiB and 16 threads. One more closes the oldest that has not chosen an export yet; when all have, it is closed itself.
    /// </summary>
    public int MaxConnections { get; init; } = 16;

    /// <summary>How long a client may take from connecting to choosing an export.</summary>
    public TimeSpan HandshakeLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client may refuse to take an answer, or leave a command half sent, before it is cut off.</summary>
    public TimeSpan StallLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long commands in work may take to end when the server is disposed.</summary>
    public TimeSpan DrainLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Told about connections that ended badly, in one line; from any thread, must not throw.</summary>
    public Action<string> Report { get; init; } = static _ => { };

    /// <summary>Where time comes from.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}

/// <summary>Encryption for all exports of a server: TLS 1.2 or later. (NBD protocol, "FORCEDTLS mode")</summary>
/// <param name="Certificate">The server's, with its private key.</param>
/// <param name="ClientAuthorities">Who must have issued a client's certificate; null: clients need none.</param>
public sealed record NbdTls(X509Certificate2 Certificate, X509Certificate2Collection? ClientAuthorities);
