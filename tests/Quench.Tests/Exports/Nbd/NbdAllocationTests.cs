using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;
using System.Reflection;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Quench.Exports.Nbd.Wire;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>In the steady state a command allocates nothing, with many in flight.</summary>
/// <remarks>The compiler makes an object of each asynchronous call in a Debug build, so only a Release build can show it: docs/testing.md says how.</remarks>
[Collection("alone")] // all threads' allocations are counted
public sealed class NbdAllocationTests : IDisposable
{
    private const int Length = 1024 * 1024;
    private const int InFlight = 16;
    private const int Commands = 10_000;
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(0, 4096, false)]
    [InlineData(0, 4096, true)]
    [InlineData(1, 4096, false)]
    [InlineData(1, 4096, true)]
    [InlineData(3, 0, false)]
    [InlineData(4, 4096, false)]
    [InlineData(6, 4096, false)]
    public async Task A_command_allocates_nothing(ushort command, int length, bool onTheCallersThread)
    {
        Assert.SkipWhen(IsDebug(typeof(NbdServer).Assembly), "a Debug build allocates an object for each asynchronous call: run it on a Release build");
        ImageFile file = ImageFile.CreateNew(_directory["disk"], Length);
        await using NbdExport export = NbdExport.Writable("", "", onTheCallersThread ? new BlockingDisk(file) : file);
        await using NbdServer server = NbdServer.Listen(new UnixDomainSocketEndPoint(_directory["nbd.sock"]), new NbdServerOptions { Exports = [export] });
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GoAsync("", Token);
        Socket socket = client.Stream.Socket;
        byte[] batch = Batch(command, length);
        byte[] answers = new byte[InFlight * (SimpleReply.Size + (command == 0 ? length : 0))];
        Run(socket, batch, answers, Commands / 4); // fills the pools
        long before = GC.GetTotalAllocatedBytes(precise: true);
        Run(socket, batch, answers, Commands);
        double each = (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)Commands;
        Assert.True(each < 8, $"{each:0.0} bytes for each command"); // an object has 24 at least: less than one in three
    }

    private static bool IsDebug(Assembly assembly) => assembly.GetCustomAttribute<DebuggableAttribute>() is { IsJITOptimizerDisabled: true };

    /// <summary>As many commands as go in flight, in one message.</summary>
    private static byte[] Batch(ushort command, int length)
    {
        int one = NbdRequest.Size + (command == 1 ? length : 0);
        byte[] batch = new byte[InFlight * one];
        for (int i = 0; i < InFlight; i++)
        {
            Span<byte> wire = batch.AsSpan(i * one);
            BinaryPrimitives.WriteUInt32BigEndian(wire, NbdRequest.Magic);
            BinaryPrimitives.WriteUInt16BigEndian(wire[6..], command);
            BinaryPrimitives.WriteInt64BigEndian(wire[8..], i);
            BinaryPrimitives.WriteInt64BigEndian(wire[16..], (long)i * length);
            BinaryPrimitives.WriteInt32BigEndian(wire[24..], length);
        }

        return batch;
    }

    private static void Run(Socket socket, byte[] batch, byte[] answers, int commands)
    {
        for (int done = 0; done < commands; done += InFlight)
        {
            socket.Send(batch);
            for (int got = 0; got < answers.Length;)
            {
                int count = socket.Receive(answers, got, answers.Length - got, SocketFlags.None);
                Assert.NotEqual(0, count);
                got += count;
            }

            Assert.Equal(0u, BinaryPrimitives.ReadUInt32BigEndian(answers.AsSpan(4)));
        }
    }
}
