using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Exports.Nbd;

namespace Quench.Cli.Commands.Serve;

/// <summary>Where to serve and to whom: what the serve commands share.</summary>
internal sealed class ServeOptions
{
    private const int DefaultPort = 10809; // NBD's, registered with IANA

    private readonly Option<string?> _socket = new("--socket") { HelpName = "PATH", Description = "Listen on a Unix socket, made with mode 0600." };
    private readonly Option<string?> _listen = new("--listen")
    {
        HelpName = "ADDRESS[:PORT]",
        Description = "Listen on TCP. Port 10809 when none is given, 0 for any. 127.0.0.1 when neither this nor --socket is given.",
    };

    private readonly Option<string> _name = new("--export-name")
    {
        HelpName = "NAME",
        Description = "What clients call the export; without it they need no name.",
        DefaultValueFactory = _ => "",
    };

    private readonly Option<string?> _certificate = new("--tls-certificate")
    {
        HelpName = "FILE",
        Description = "Require TLS; the server's certificate, PEM.",
    };

    private readonly Option<string?> _key = new("--tls-key") { HelpName = "FILE", Description = "The certificate's private key, PEM." };
    private readonly Option<string?> _authority = new("--tls-authority")
    {
        HelpName = "FILE",
        Description = "Let only clients in whose certificate one of these has issued, PEM.",
    };

    private readonly Option<int> _connections = new("--max-connections") { HelpName = "N", Description = "Connections at once.", DefaultValueFactory = _ => 16 };
    private readonly Option<bool> _json = CommonOptions.Json();

    /// <summary>The options, to be put into a command.</summary>
    public IReadOnlyList<Option> All => [_socket, _listen, _name, _certificate, _key, _authority, _connections, _json];

    /// <summary>What clients call the export.</summary>
    public string NameOf(ParseResult parsed) => parsed.GetValue(_name)!;

    /// <summary>Serves until somebody interrupts. The address is the last line on standard output.</summary>
    /// <exception cref="QuenchException">CLI-140: it can't listen there; CLI-141: a certificate can't be used; CLI-143, exit code 2: options that make no sense together.</exception>
    public async Task RunAsync(CliHost host, ParseResult parsed, NbdExport export, CancellationToken cancellationToken)
    {
        using X509Certificate2? certificate = LoadCertificate(parsed);
        NbdServerOptions options = new()
        {
            Exports = [export],
            MaxConnections = parsed.GetValue(_connections),
            Tls = certificate is null ? null : new NbdTls(certificate, LoadAuthorities(parsed)),
            Report = line => host.Error.WriteLine($"nbd: {line}"),
            Clock = host.Clock,
        };
        await using NbdServer server = Listen(AddressFrom(parsed), options);
        Tell(host, parsed, server, options.Tls is not null);
        await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        host.Error.WriteLine("stopping: commands in work are answered first");
    }

    private static NbdServer Listen(EndPoint address, NbdServerOptions options)
    {
        try
        {
            return NbdServer.Listen(address, options);
        }
        catch (SocketException failure)
        {
            throw new QuenchException(
                "CLI-140", $"can't listen on {address}: {failure.Message}",
                address is IPEndPoint ? "choose another port with --listen ADDRESS:PORT" : "choose another path, or remove the socket that an earlier server left there", failure);
        }
    }

    private void Tell(CliHost host, ParseResult parsed, NbdServer server, bool encrypted)
    {
        string name = Uri.EscapeDataString(NameOf(parsed));
        string scheme = encrypted ? "nbds" : "nbd";
        string uri = server.EndPoint is IPEndPoint tcp ? $"{scheme}://{tcp}/{name}" : $"{scheme}+unix:///{name}?socket={server.EndPoint}";
        host.Error.WriteLine("serving until interrupted; look at it with: nbdinfo, or give the address to qemu");
        if (parsed.GetValue(_json))
        {
            JsonLine.WriteMessage(host.Output, "serving", writer => writer.WriteString("uri", uri));
        }
        else
        {
            host.Output.WriteLine(uri);
        }

        host.Output.Flush();
    }

    private EndPoint AddressFrom(ParseResult parsed)
    {
        string? listen = parsed.GetValue(_listen);
        if (parsed.GetValue(_socket) is { } path)
        {
            return listen is null
                ? new UnixDomainSocketEndPoint(Path.GetFullPath(path))
                : throw Misused(parsed, "--socket and --listen exclude each other");
        }

        if (listen is null)
        {
            return new IPEndPoint(IPAddress.Loopback, DefaultPort);
        }

        return IPAddress.TryParse(listen, out IPAddress? address) ? new IPEndPoint(address, DefaultPort)
            : IPEndPoint.TryParse(listen, out IPEndPoint? endPoint) ? endPoint
            : throw Misused(parsed, string.Create(CultureInfo.InvariantCulture, $"\"{listen}\" is not ADDRESS or ADDRESS:PORT, with an address in numbers"));
    }

    private X509Certificate2? LoadCertificate(ParseResult parsed)
    {
        (string? certificate, string? key) = (parsed.GetValue(_certificate), parsed.GetValue(_key));
        if (certificate is null)
        {
            return key is null && parsed.GetValue(_authority) is null ? null : throw Misused(parsed, "--tls-key and --tls-authority need --tls-certificate");
        }

        return Load(certificate, () => X509Certificate2.CreateFromPemFile(certificate, key ?? certificate));
    }

    private X509Certificate2Collection? LoadAuthorities(ParseResult parsed)
    {
        if (parsed.GetValue(_authority) is not { } path)
        {
            return null;
        }

        return Load(path, () =>
        {
            X509Certificate2Collection authorities = [];
            authorities.ImportFromPemFile(path);
            return authorities;
        });
    }

    private static T Load<T>(string path, Func<T> load)
    {
        try
        {
            return load();
        }
        catch (Exception failure) when (failure is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new QuenchException("CLI-141", $"the certificate in {path} can't be used: {failure.Message}", "give PEM files: --tls-certificate and --tls-key", failure)
            {
                Effect = "nothing is served",
            };
        }
    }

    /// <summary>CLI-143: options that make no sense together.</summary>
    public static QuenchException Misused(ParseResult parsed, string message) =>
        new("CLI-143", message, $"see `{CommandPath.Of(parsed)} --help`") { ExitCode = ExitCodes.Usage };
}
