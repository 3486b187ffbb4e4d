using System.Diagnostics;
using System.Net.Sockets;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>Peers that fail, leave in the middle, or are slow: what they were told is right, the server stays, and others are served meanwhile.</summary>
public sealed class NbdFaultyPeerTests : IDisposable
{
    private const int Length = 4 * 1024 * 1024;
    private const int Limit = 60_000; // of a test, in milliseconds: a server that hangs fails it

    private readonly TemporaryDirectory _directory = new();
    private readonly byte[] _content = TestSeed.NewRandom().NextBytes(Length);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string SocketPath => _directory["nbd.sock"];

    private string Uri => $"nbd+unix:///?socket={SocketPath}";

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = Limit)]
    public async Task Behind_a_peer_that_fails_a_fifth_of_all_commands_and_tries_again_content_goes_in_and_out_whole()
    {
        Demand("nbdkit", "nbdcopy");
        await File.WriteAllBytesAsync(_directory["in"], _content, Token);
        MemoryDevice device = new(Length);
        await using NbdExport export = NbdExport.Writable("", "", device);
        await using NbdServer server = Serve(export);
        await Tool.DemandAsync(
            "nbdkit", "-U", "-", "--filter=retry-request", "--filter=error", "nbd", $"socket={SocketPath}", "shared=true",
            "error=EIO", "error-rate=20%", "retry-request-retries=30", "retry-request-delay=1",
            "--run", $"nbdcopy --flush '{_directory["in"]}' \"$uri\" && nbdcopy \"$uri\" '{_directory["out"]}'");
        Assert.Equal(_content, await File.ReadAllBytesAsync(_directory["out"], Token));
        await DemandContentAsync(device);
    }

    [Fact(Timeout = Limit)]
    public async Task Qemu_finds_what_it_wrote_through_a_peer_that_delays_and_cuts_commands_up()
    {
        Demand("nbdkit", "qemu-io");
        await using NbdExport export = NbdExport.Writable("", "", new MemoryDevice(Length, 512));
        await using NbdServer server = Serve(export);
        string output = await Tool.DemandAsync(
            "nbdkit", "-U", "-", "--filter=delay", "--filter=blocksize", "nbd", $"socket={SocketPath}", "delay-read=1ms", "delay-write=1ms", "maxdata=4k", "maxlen=16k",
            "--run", "qemu-io -f raw -c 'write -P 0x11 0 1M' -c 'write -f -P 0x22 1000 7777' -c 'write -z 300001 70000' -c 'discard 700000 9000' -c flush "
                + "-c 'read -P 0x11 0 1000' -c 'read -P 0x22 1000 7777' -c 'read -P 0 300001 70000' -c 'read -P 0x11 800000 1000' \"$uri\"");
        Assert.DoesNotContain("failed", output, StringComparison.OrdinalIgnoreCase);
    }

    [Fact(Timeout = Limit)]
    public async Task Proxies_that_end_with_their_last_client_come_and_go()
    {
        Demand("nbdkit", "nbdcopy");
        MemoryDevice device = await NewDeviceAsync();
        await using NbdExport export = NbdExport.Writable("", "", device);
        await using NbdServer server = Serve(export);
        for (int i = 0; i < 5; i++)
        {
            string copy = _directory[$"out{i}"];
            await Tool.DemandAsync("nbdkit", "-U", "-", "--filter=exitlast", "nbd", $"socket={SocketPath}", "--run", $"nbdcopy \"$uri\" '{copy}'");
            Assert.Equal(_content, await File.ReadAllBytesAsync(copy, Token));
        }
    }

    [Fact(Timeout = Limit)]
    public async Task A_server_is_exchanged_under_a_client_that_comes_back_and_the_client_does_not_notice()
    {
        Demand("nbdkit", "nbdcopy");
        MemoryDevice device = await NewDeviceAsync();
        HeldDevice held = new(device);
        await using NbdExport first = NbdExport.Writable("", "", held);
        NbdServer server = Serve(first);
        Task<string> copying = Tool.DemandAsync(
            "nbdkit", "-U", "-", "--filter=retry", "nbd", $"socket={SocketPath}", "retries=20", "retry-delay=1", "retry-exponential=no",
            "--run", $"nbdcopy --connections=1 --requests=1 --request-size=65536 \"$uri\" '{_directory["out"]}'");
        await held.Arrived.WaitAsync(Token);
        Task ending = server.DisposeAsync().AsTask();
        held.Release();
        await ending;
        await using NbdExport second = NbdExport.Writable("", "", device);
        await using NbdServer next = Serve(second);
        await copying;
        Assert.Equal(_content, await File.ReadAllBytesAsync(_directory["out"], Token));
    }

    [Fact(Timeout = Limit)]
    public async Task A_client_that_is_killed_in_the_middle_takes_nobody_with_it()
    {
        Demand("nbdcopy");
        MemoryDevice device = await NewDeviceAsync();
        for (int i = 0; i < 5; i++)
        {
            HeldDevice held = new(device);
            await using NbdExport export = NbdExport.Writable("", "", held);
            await using NbdServer server = Serve(export);
            using Process killed = Process.Start(Requires.FindTool("nbdcopy")!, [Uri, "null:"]);
            await held.Arrived.WaitAsync(Token);
            killed.Kill();
            held.Release();
            await Tool.DemandAsync("nbdcopy", Uri, _directory["out"]);
            Assert.Equal(_content, await File.ReadAllBytesAsync(_directory["out"], Token));
            await killed.WaitForExitAsync(Token);
        }
    }

    [Fact(Timeout = Limit)]
    public async Task What_a_client_did_not_send_whole_is_not_written_and_others_are_served()
    {
        Random random = TestSeed.NewRandom();
        MemoryDevice device = await NewDeviceAsync();
        await using NbdExport export = NbdExport.Writable("", "", device);
        NbdServer server = Serve(export);
        using (RawClient good = await RawClient.ConnectAsync(server.EndPoint, Token))
        {
            await good.GoAsync("", Token);
            for (int i = 0; i < 100; i++)
            {
                using (RawClient leaving = await RawClient.ConnectAsync(server.EndPoint, Token))
                {
                    await leaving.GoAsync("", Token);
                    for (int reads = random.Next(20); reads > 0; reads--)
                    {
                        await leaving.CommandAsync(0, (ulong)random.Next(Length / 2), (uint)random.Next(1, Length / 2), Token); // and takes no answer
                    }

                    uint announced = (uint)random.Next(2, 200_000);
                    await leaving.CommandAsync(1, (ulong)random.Next(Length / 2), announced, Token, data: random.NextBytes(random.Next((int)announced)));
                }

                await CheckAsync(good, random.Next(Length - 4096));
            }
        }

        await server.DisposeAsync(); // all sessions have ended
        await DemandContentAsync(device);
    }

    [Fact(Timeout = Limit)]
    public async Task A_client_that_sends_and_takes_byte_by_byte_is_served_right_and_holds_nobody_up()
    {
        MemoryDevice device = await NewDeviceAsync();
        await using NbdExport export = NbdExport.Writable("", "", device);
        await using NbdServer server = Serve(export);
        using RawClient slow = await RawClient.ConnectAsync(server.EndPoint, Token);
        await slow.GoAsync("", Token);
        using RawClient good = await RawClient.ConnectAsync(server.EndPoint, Token);
        await good.GoAsync("", Token);
        byte[] data = TestSeed.NewRandom().NextBytes(2048);
        await slow.CommandAsync(1, 12345, (uint)data.Length, Token);
        for (int i = 0; i < data.Length; i++)
        {
            await slow.Stream.WriteAsync(data.AsMemory(i, 1), Token);
            if (i % 64 == 0)
            {
                await CheckAsync(good, 1 << 20);
            }
        }

        Assert.Equal((0u, 7ul), await slow.SimpleAsync(Token));
        await slow.CommandAsync(0, 12345, (uint)data.Length, Token);
        Assert.Equal((0u, 7ul), await slow.SimpleAsync(Token));
        for (int i = 0; i < data.Length; i++)
        {
            Assert.Equal(data[i], (await slow.ReadAsync(1, Token))[0]);
        }
    }

    [Fact(Timeout = Limit)]
    public async Task Who_announces_data_and_lets_them_drip_for_longer_than_the_limit_is_cut_off()
    {
        TaskCompletionSource<string> told = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using NbdExport export = NbdExport.Writable("", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export], StallLimit = TimeSpan.FromMilliseconds(200), Report = line => told.TrySetResult(line) });
        using RawClient dripping = await RawClient.ConnectAsync(server.EndPoint, Token);
        await dripping.GoAsync("", Token);
        using RawClient good = await RawClient.ConnectAsync(server.EndPoint, Token);
        await good.GoAsync("", Token);
        await dripping.CommandAsync(1, 0, 256 * 1024, Token);
        byte[] drop = new byte[1];
        while (!told.Task.IsCompleted)
        {
            try
            {
                await dripping.Stream.WriteAsync(drop, Token);
            }
            catch (IOException)
            {
                break; // cut off
            }

            await CheckAsync(good, 0);
        }

        Assert.Contains("did not come within 0.2 s", await told.Task.WaitAsync(Token), StringComparison.Ordinal);
        await CheckAsync(good, 4096);
    }

    [Fact(Timeout = Limit)]
    public async Task A_client_that_says_all_before_it_takes_an_answer_is_served()
    {
        const int Each = 1 << 20; // more than a socket holds, so that its answer waits for the client
        await using NbdExport export = NbdExport.Writable("", "", await NewDeviceAsync());
        await using NbdServer server = Serve(export);
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GoAsync("", Token);
        for (int i = 0; i < 100; i++)
        {
            await client.CommandAsync(0, 0, 512, Token); // one by one: the server gets used to that
            await client.SimpleAsync(Token);
            await client.ReadAsync(512, Token);
        }

        await client.CommandAsync(0, 0, Each, Token, cookie: 1);
        await client.CommandAsync(0, 0, Each, Token, cookie: 1);
        await client.CommandAsync(1, 2 * Each, Each, Token, data: _content[..Each], cookie: 2); // it is sent whole before an answer is taken
        for (int left = 3; left > 0; left--)
        {
            (uint error, ulong cookie) = await client.SimpleAsync(Token);
            Assert.Equal(0u, error);
            if (cookie == 1)
            {
                Assert.Equal(_content[..Each], await client.ReadAsync(Each, Token));
            }
        }
    }

    [Fact(Timeout = Limit)]
    public async Task An_answer_that_can_not_be_finished_ends_its_connection_and_nothing_is_sent_behind_it()
    {
        const int Piece = 256 * 1024;
        await using NbdExport export = NbdExport.ReadOnly("", "", new FaultyDevice(await NewDeviceAsync(), DeviceCall.Read, failAt: 2));
        await using NbdServer server = Serve(export);
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GoAsync("", Token);
        await client.CommandAsync(0, 0, 2 * Piece, Token);
        Assert.Equal((0u, 7ul), await client.SimpleAsync(Token)); // said before the second piece was read: the old form can take nothing back
        Assert.Equal(_content[..Piece], await client.ReadAsync(Piece, Token));
        Assert.Equal(0, await client.Stream.ReadAsync(new byte[1], Token));
        using RawClient other = await RawClient.ConnectAsync(server.EndPoint, Token);
        await other.GoAsync("", Token);
        await CheckAsync(other, 0);
    }

    private static void Demand(params string[] tools) => Array.ForEach(tools, Requires.Tool);

    private NbdServer Serve(NbdExport export) => Serve(new NbdServerOptions { Exports = [export] });

    private NbdServer Serve(NbdServerOptions options) => NbdServer.Listen(new UnixDomainSocketEndPoint(SocketPath), options);

    private async Task<MemoryDevice> NewDeviceAsync()
    {
        MemoryDevice device = new(Length);
        await device.WriteAsync(0, _content, Token);
        return device;
    }

    private async Task DemandContentAsync(MemoryDevice device)
    {
        byte[] now = new byte[Length];
        await device.ReadAsync(0, now, Token);
        Assert.Equal(_content, now);
    }

    private async Task CheckAsync(RawClient client, int offset)
    {
        await client.CommandAsync(0, (ulong)offset, 4096, Token);
        Assert.Equal((0u, 7ul), await client.SimpleAsync(Token));
        Assert.Equal(_content[offset..(offset + 4096)], await client.ReadAsync(4096, Token));
    }
}
