using System.Globalization;
using System.Net;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Writers.Servers;

/// <summary>Where a server is and who we are to it.</summary>
/// <param name="Where">Its socket.</param>
/// <param name="User">Our name there; null for whom the server takes us for.</param>
/// <param name="AsUser">The system's user that connects, where the server goes by that; null for our own.</param>
/// <param name="PasswordFile">The file whose first line is the password; null for none.</param>
internal sealed record ServerLogin(EndPoint Where, string? User, uint? AsUser, string? PasswordFile)
{
    /// <summary>As the settings <c>user</c> and <c>password-file</c> say; without them as the user that we are.</summary>
    internal static ServerLogin AsOurselves(EndPoint where, string source, WriterSettings settings) =>
        new(where, settings.Find(source, "user"), null, settings.Find(source, "password-file"));

    /// <summary>As the settings say; without them, where we may, as the user that the server itself runs as.</summary>
    internal static ServerLogin AsServer(ServerProcess server, EndPoint where, string source, WriterSettings settings)
    {
        ServerLogin login = AsOurselves(where, source, settings);
        return login is { User: null, PasswordFile: null } && ProcessControl.IsRoot ? login with { User = UserName(server.UserId), AsUser = server.UserId } : login;
    }

    internal ValueTask<ServerLine> ConnectAsync(CancellationToken cancellationToken) => ServerLine.ConnectAsync(Where, AsUser, cancellationToken);

    /// <summary>The password, read when it is needed and kept nowhere.</summary>
    /// <exception cref="WriterException">The file can't be read.</exception>
    internal string? ReadPassword()
    {
        try
        {
            return PasswordFile is null ? null : File.ReadLines(PasswordFile).FirstOrDefault() ?? "";
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new WriterException(WriterError.NonRetryable, $"the password file {PasswordFile} can't be read: {failure.Message}", failure);
        }
    }

    /// <summary>A user's name; null for one that the machine's own list does not have. (passwd(5))</summary>
    private static string? UserName(uint id) => File.ReadLines("/etc/passwd")
        .Select(line => line.Split(':'))
        .FirstOrDefault(fields => fields.Length > 2 && fields[2] == id.ToString(CultureInfo.InvariantCulture))?[0];
}
