using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Quench.Snapshots.Coordination.Writers.Servers;

/// <summary>A server that runs on this machine, as the kernel shows it. (proc(5))</summary>
/// <param name="Id">Its process.</param>
/// <param name="UserId">The user that it runs as.</param>
/// <param name="Folder">Its working directory: database servers work in their data directory.</param>
/// <param name="Sockets">Where it listens: Unix sockets with a path, then TCP ports of this machine.</param>
internal sealed record ServerProcess(int Id, uint UserId, string Folder, IReadOnlyList<EndPoint> Sockets)
{
    private const string Proc = "/proc";
    private const string Listening = "0A";          // TCP_LISTEN
    private const string AcceptsConnections = "00010000"; // __SO_ACCEPTCON

    /// <summary>All processes of one of these names. Those that end meanwhile, or that we may not look at, are left out.</summary>
    internal static IReadOnlyList<ServerProcess> Find(params IReadOnlyCollection<string> names)
    {
        List<ServerProcess> found = [];
        foreach (string folder in Directory.EnumerateDirectories(Proc))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out int id) && Look(id, folder, names) is { } server)
            {
                found.Add(server);
            }
        }

        return found;
    }

    /// <summary>Why its files can't be put back where they were: it runs. Null when it does not, or when they are put elsewhere.</summary>
    internal string? WhyNotReplace(RestoreOperation operation, string howToStop) => operation.Target == "/" && Directory.Exists(Path.Combine(Proc, Id.ToString(CultureInfo.InvariantCulture)))
        ? $"the server of {Folder} runs (process {Id}): stop it first (`{howToStop}`)"
        : null;

    private static ServerProcess? Look(int id, string folder, IReadOnlyCollection<string> names)
    {
        try
        {
            if (!names.Contains(File.ReadAllText(Path.Combine(folder, "comm")).TrimEnd('\n')) || LinkAt(Path.Combine(folder, "cwd")) is not { } working)
            {
                return null;
            }

            HashSet<string> inodes = [.. Directory.EnumerateFiles(Path.Combine(folder, "fd")).Select(LinkAt).OfType<string>().Select(SocketInode).OfType<string>()];
            IEnumerable<EndPoint> sockets = UnixSockets(File.ReadLines(Path.Combine(folder, "net/unix")), inodes)
                .Concat(Ports(File.ReadLines(Path.Combine(folder, "net/tcp")), inodes));
            return new ServerProcess(id, UserOf(folder), working, [.. sockets]);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null; // it has ended, or it is somebody else's
        }
    }

    private static string? LinkAt(string path) => new FileInfo(path).LinkTarget;

    private static string? SocketInode(string target) =>
        target.StartsWith("socket:[", StringComparison.Ordinal) ? target["socket:[".Length..^1] : null;

    private static uint UserOf(string folder)
    {
        string line = File.ReadLines(Path.Combine(folder, "status")).First(line => line.StartsWith("Uid:", StringComparison.Ordinal));
        return uint.Parse(line.Split('\t')[2], CultureInfo.InvariantCulture); // real, effective, saved, file system
    }

    /// <summary>Num RefCount Protocol Flags Type St Inode Path</summary>
    internal static IEnumerable<EndPoint> UnixSockets(IEnumerable<string> lines, IReadOnlySet<string> inodes)
    {
        foreach (string line in lines)
        {
            string[] fields = line.Split(' ', 8, StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length == 8 && fields[3] == AcceptsConnections && inodes.Contains(fields[6]) && fields[7].StartsWith('/'))
            {
                yield return new UnixDomainSocketEndPoint(fields[7]);
            }
        }
    }

    /// <summary>sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …; addresses are hexadecimal in the machine's order.</summary>
    internal static IEnumerable<EndPoint> Ports(IEnumerable<string> lines, IReadOnlySet<string> inodes)
    {
        foreach (string line in lines)
        {
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > 9 && fields[3] == Listening && inodes.Contains(fields[9]) && fields[1].Split(':') is [_, var port])
            {
                yield return new IPEndPoint(IPAddress.Loopback, int.Parse(port, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            }
        }
    }
}
