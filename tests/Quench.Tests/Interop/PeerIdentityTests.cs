using System.Net.Sockets;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop;

public sealed class PeerIdentityTests : IDisposable
{
    private const uint Nobody = 65534;

    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task The_server_sees_the_other_user_and_no_thread_of_ours_becomes_it()
    {
        Assert.SkipUnless(ProcessControl.IsRoot, "only root can be somebody else");
        UnixDomainSocketEndPoint where = Open("server");
        using Socket server = Listen(where, 128);
        for (int round = 0; round < 40; round++)
        {
            using Socket client = await PeerIdentity.ConnectAsync(Nobody, where, Token);
            using Socket accepted = await server.AcceptAsync(Token);
            Assert.Equal(Nobody, PeerCredentials.UserOf(accepted));
            await client.SendAsync(new byte[] { (byte)round }, Token);
            byte[] heard = new byte[1];
            Assert.Equal((1, round), (await accepted.ReceiveAsync(heard, Token), heard[0]));
            Assert.All(EffectiveUsers(), user => Assert.Equal("0", user));
        }
    }

    [Fact]
    public async Task A_server_with_no_room_is_waited_for_until_the_caller_gives_up()
    {
        Assert.SkipUnless(ProcessControl.IsRoot, "only root can be somebody else");
        UnixDomainSocketEndPoint where = Open("busy");
        using Socket server = Listen(where, 0);
        using Socket first = await PeerIdentity.ConnectAsync(Nobody, where, Token); // a queue of 0 has room for one
        using CancellationTokenSource givesUp = new(TimeSpan.FromMilliseconds(100));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => PeerIdentity.ConnectAsync(Nobody, where, givesUp.Token));

        Task<Socket> waiting = PeerIdentity.ConnectAsync(Nobody, where, Token);
        using Socket one = await server.AcceptAsync(Token);
        using Socket second = await waiting;
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_named()
    {
        LinuxErrorException failure = await Assert.ThrowsAsync<LinuxErrorException>(() => PeerIdentity.ConnectAsync(ProcessControl.User, new UnixDomainSocketEndPoint(_directory["nowhere"]), Token));
        Assert.Equal(Errno.ENOENT, failure.Errno);
        Assert.Contains(_directory["nowhere"], failure.Message, StringComparison.Ordinal);
    }

    /// <summary>A place that everybody can reach.</summary>
    private UnixDomainSocketEndPoint Open(string name)
    {
        File.SetUnixFileMode(_directory.Path, (UnixFileMode)0b111_101_101);
        return new UnixDomainSocketEndPoint(_directory[name]);
    }

    private static Socket Listen(UnixDomainSocketEndPoint where, int queue)
    {
        Socket server = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        server.Bind(where);
        File.SetUnixFileMode(where.ToString(), (UnixFileMode)0b110_110_110);
        server.Listen(queue);
        return server;
    }

    /// <summary>Who each thread of this process is. (proc(5), "status": real, effective, saved, file system)</summary>
    private static IEnumerable<string> EffectiveUsers()
    {
        foreach (string thread in Directory.EnumerateDirectories("/proc/self/task"))
        {
            string? line = null;
            try
            {
                line = File.ReadLines(Path.Combine(thread, "status")).FirstOrDefault(line => line.StartsWith("Uid:", StringComparison.Ordinal));
            }
            catch (IOException)
            {
                // It has ended meanwhile.
            }

            if (line is not null)
            {
                yield return line.Split('\t', StringSplitOptions.RemoveEmptyEntries)[2];
            }
        }
    }
}
