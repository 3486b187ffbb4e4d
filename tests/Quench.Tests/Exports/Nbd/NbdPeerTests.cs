using System.Net.Sockets;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>The server behind nbdkit's proxy (its nbd plugin, which is libnbd) with filters that delay, fail, watch and try again.</summary>
public sealed class NbdPeerTests : IDisposable
{
    private const int Length = 4 * 1024 * 1024;
    private readonly TemporaryDirectory _directory = new();
    private readonly byte[] _content = TestSeed.NewRandom().NextBytes(Length);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string SocketPath => _directory["nbd.sock"];

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("delay", "rdelay=2ms", "wdelay=2ms", "delay-zero=2ms", "delay-trim=2ms", "delay-extents=2ms")]
    [InlineData("nozero", "zeromode=none")]
    [InlineData("fua", "fuamode=force")]
    [InlineData("blocksize", "minblock=512", "maxdata=64k", "maxlen=64k")]
    [InlineData("retry", "retry-delay=1")]
    public async Task Content_goes_in_and_out_whole_through_a_proxy_that(string filter, params string[] parameters)
    {
        Requires.Tool("nbdkit");
        Requires.Tool("nbdcopy");
        _content.AsSpan(1 << 20, 1 << 20).Clear();
        await File.WriteAllBytesAsync(_directory["in"], _content, Token);
        await using NbdExport export = NbdExport.Writable("", "", new MemoryDevice(Length));
        await using NbdServer server = Serve(export);
        string copy = $"nbdcopy --flush '{_directory["in"]}' \"$uri\" && nbdcopy \"$uri\" '{_directory["out"]}'";
        await Tool.DemandAsync("nbdkit", ["-U", "-", $"--filter={filter}", "nbd", $"socket={SocketPath}", "shared=true", .. parameters, "--run", copy]);
        Assert.Equal(_content, await File.ReadAllBytesAsync(_directory["out"], Token));
    }

    [Fact]
    public async Task Another_hand_finds_that_what_is_there_is_what_was_written()
    {
        Requires.Tool("nbdkit");
        Requires.Tool("nbdcopy");
        await File.WriteAllBytesAsync(_directory["in"], _content, Token);
        MemoryDevice device = new(Length);
        await device.WriteAsync(0, _content, Token);
        await using NbdExport export = NbdExport.ReadOnly("", "", device);
        await using NbdServer server = Serve(export);
        string[] check = ["-U", "-", "--filter=checkwrite", "nbd", $"socket={SocketPath}", "--run", $"nbdcopy '{_directory["in"]}' \"$uri\""];
        await Tool.DemandAsync("nbdkit", check);
        await device.WriteAsync(Length / 2, new byte[512], Token);
        (int code, _) = await Tool.RunAsync("nbdkit", check); // it would have noticed
        Assert.NotEqual(0, code);
    }

    [Fact]
    public async Task A_peer_that_fails_half_of_its_commands_harms_nobody_else()
    {
        Requires.Tool("nbdkit");
        Requires.Tool("nbdcopy");
        Requires.Tool("qemu-io");
        MemoryDevice device = new(Length);
        await device.WriteAsync(0, _content, Token);
        await using NbdExport export = NbdExport.ReadOnly("", "", device);
        await using NbdServer server = Serve(export);
        const string Reads = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo 'read 0 4k'; done | qemu-io -r -f raw \"$uri\"";
        Task<(int Code, string Output)> failing = Tool.RunAsync(
            "nbdkit", "-U", "-", "--filter=error", "nbd", $"socket={SocketPath}", "error-pread=EIO", "error-pread-rate=50%", "--run", Reads);
        await Tool.DemandAsync("nbdcopy", $"nbd+unix:///?socket={SocketPath}", _directory["out"]);
        Assert.Equal(_content, await File.ReadAllBytesAsync(_directory["out"], Token));
        Assert.Contains("read failed", (await failing).Output, StringComparison.Ordinal); // of 65,536 runs one has no failure
    }

    private NbdServer Serve(NbdExport export) =>
        NbdServer.Listen(new UnixDomainSocketEndPoint(SocketPath), new NbdServerOptions { Exports = [export] });
}
