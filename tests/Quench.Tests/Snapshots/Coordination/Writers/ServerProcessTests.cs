using System.Net;
using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.Servers;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>Servers found by what the kernel says of their processes.</summary>
public sealed class ServerProcessTests
{
    [Fact]
    public void Sockets_that_accept_connections_and_have_a_path_are_found()
    {
        string[] lines =
        [
            "Num       RefCount Protocol Flags    Type St Inode Path",
            "0000000000000000: 00000002 00000000 00010000 0001 01 41 /run/a server/.s.PGSQL.5432",
            "0000000000000000: 00000003 00000000 00000000 0001 03 42 /run/a server/.s.PGSQL.5432",
            "0000000000000000: 00000002 00000000 00010000 0001 01 43 @abstract",
            "0000000000000000: 00000002 00000000 00010000 0001 01 44 /run/somebody-else",
            "0000000000000000: 00000002 00000000 00010000 0001 01 45",
        ];
        HashSet<string> inodes = ["41", "42", "43", "45"];
        Assert.Equal(["/run/a server/.s.PGSQL.5432"], ServerProcess.UnixSockets(lines, inodes).Select(socket => socket.ToString()));
    }

    [Fact]
    public void Ports_that_accept_connections_are_found()
    {
        string[] lines =
        [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 51 1 0000000000000000 100 0 0 10 0",
            "   1: 0100007F:18EC 0100007F:9999 01 00000000:00000000 00:00000000 00000000   104        0 52 1 0000000000000000 100 0 0 10 0",
            "   2: 0100007F:18ED 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 53 1 0000000000000000 100 0 0 10 0",
        ];
        Assert.Equal([new IPEndPoint(IPAddress.Loopback, 6379)], ServerProcess.Ports(lines, new HashSet<string> { "51", "52" }));
    }

    [Fact]
    public void A_process_is_found_by_its_name_with_its_folder_and_where_it_listens()
    {
        using TemporaryDirectory directory = new();
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(directory["socket"]));
        socket.Listen();
        string name = File.ReadAllText("/proc/self/comm").TrimEnd('\n');
        ServerProcess found = Assert.Single(ServerProcess.Find(name), process => process.Id == Environment.ProcessId);
        Assert.Equal(Environment.CurrentDirectory, found.Folder);
        Assert.Contains(directory["socket"], found.Sockets.Select(where => where.ToString()));
    }
}
