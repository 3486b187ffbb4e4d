using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>The server with the clients people have: libnbd's tools and QEMU's.</summary>
public sealed class NbdServerTests : IDisposable
{
    private const int Length = 8 * 1024 * 1024;
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string SocketPath => _directory["nbd.sock"];

    private string Uri => $"nbd+unix:///?socket={SocketPath}";

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Nbdinfo_sees_size_flags_description_and_contexts()
    {
        Requires.Tool("nbdinfo");
        await using NbdExport export = NbdExport.Writable("", "a volume of the tests", new MemoryDevice(Length));
        await using NbdServer server = Serve(export);
        string info = await Tool.DemandAsync("nbdinfo", "--json", Uri);
        Assert.Contains($"\"export-size\": {Length}", info, StringComparison.Ordinal);
        Assert.Contains("a volume of the tests", info, StringComparison.Ordinal);
        Assert.Contains("base:allocation", info, StringComparison.Ordinal);
        Assert.Contains("\"can_multi_conn\": true", info, StringComparison.Ordinal);
        Assert.Contains("\"is_read_only\": false", info, StringComparison.Ordinal);
        Assert.Contains("\"structured\": true", info, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nbdinfo_lists_all_exports_by_name()
    {
        Requires.Tool("nbdinfo");
        await using NbdExport one = NbdExport.ReadOnly("one", "the first", new MemoryDevice(4096));
        await using NbdExport other = NbdExport.ReadOnly("zwei äöü", "the second", new MemoryDevice(8192));
        await using NbdServer server = Serve(one, other);
        string list = await Tool.DemandAsync("nbdinfo", "--list", "--json", Uri);
        Assert.Contains("\"export-name\": \"one\"", list, StringComparison.Ordinal);
        Assert.Contains("the second", list, StringComparison.Ordinal);
        (int code, _) = await Tool.RunAsync("nbdinfo", $"nbd+unix:///none?socket={SocketPath}");
        Assert.NotEqual(0, code);
    }

    [Fact]
    public async Task The_map_is_what_the_device_knows()
    {
        Requires.Tool("nbdinfo");
        MemoryDevice device = new(Length);
        await device.WriteAsync(1 << 20, TestSeed.NewRandom().NextBytes(1 << 20), Token);
        await using NbdExport export = NbdExport.ReadOnly("", "", device);
        await using NbdServer server = Serve(export);
        string map = await Tool.DemandAsync("nbdinfo", "--map", "--totals", Uri);
        Assert.Matches($@"{1 << 20}\s.*0 data", map);
        Assert.Matches($@"{7 << 20}\s.*3 hole,zero", map);
    }

    [Fact]
    public async Task Nbdcopy_brings_an_image_in_and_out_over_several_connections()
    {
        Requires.Tool("nbdcopy");
        byte[] content = TestSeed.NewRandom().NextBytes(Length);
        content.AsSpan(3 << 20, 2 << 20).Clear();
        await File.WriteAllBytesAsync(_directory["in"], content, Token);
        await using NbdExport export = NbdExport.Writable("", "", new MemoryDevice(Length));
        await using NbdServer server = Serve(export);
        await Tool.DemandAsync("nbdcopy", "--flush", _directory["in"], Uri);
        await Tool.DemandAsync("nbdcopy", Uri, _directory["out"]);
        Assert.Equal(content, await File.ReadAllBytesAsync(_directory["out"], Token));
    }

    [Fact]
    public async Task Qemu_img_compares_converts_and_maps()
    {
        Requires.Tool("qemu-img");
        byte[] content = TestSeed.NewRandom().NextBytes(Length);
        content.AsSpan(1 << 20, 5 << 20).Clear();
        await File.WriteAllBytesAsync(_directory["raw"], content, Token);
        MemoryDevice device = new(Length);
        await device.WriteAsync(0, content, Token);
        await device.ZeroAsync(new Extent(1 << 20, 5 << 20), Token);
        await using NbdExport export = NbdExport.ReadOnly("", "", device);
        await using NbdServer server = Serve(export);
        Assert.Contains("identical", await Tool.DemandAsync("qemu-img", "compare", "-f", "raw", "-F", "raw", Uri, _directory["raw"]), StringComparison.Ordinal);
        await Tool.DemandAsync("qemu-img", "convert", "-f", "raw", "-O", "qcow2", Uri, _directory["qcow2"]);
        Assert.Contains("identical", await Tool.DemandAsync("qemu-img", "compare", "-f", "qcow2", "-F", "raw", _directory["qcow2"], _directory["raw"]), StringComparison.Ordinal);
        string map = await Tool.DemandAsync("qemu-img", "map", "--output=json", "-f", "raw", Uri);
        Assert.Matches("\"start\": 1048576, \"length\": 5242880, [^}]*\"zero\": true, \"data\": false", map);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task Qemu_io_finds_what_it_wrote_at_any_alignment(int sector)
    {
        Requires.Tool("qemu-io");
        await using NbdExport export = NbdExport.Writable("", "", new MemoryDevice(Length, sector));
        await using NbdServer server = Serve(export);
        string output = await Tool.DemandAsync(
            "qemu-io", "-f", "raw",
            "-c", "write -P 0x11 0 1M", "-c", "write -f -P 0x22 1000 777", "-c", "write -z 300001 70000", "-c", "write -z -u 500000 4096", "-c", "discard 700000 9000", "-c", "flush",
            "-c", "read -P 0x11 0 1000", "-c", "read -P 0x22 1000 777", "-c", "read -P 0x11 1777 1000", "-c", "read -P 0 300001 70000", "-c", "read -P 0 500000 4096", "-c", "read -P 0x11 800000 1000",
            Uri);
        Assert.DoesNotContain("failed", output, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_read_only_export_refuses_every_change()
    {
        Requires.Tool("qemu-io");
        await using NbdExport export = NbdExport.ReadOnly("", "", new MemoryDevice(Length));
        await using NbdServer server = Serve(export);
        (int code, _) = await Tool.RunAsync("qemu-io", "-f", "raw", "-c", "write 0 4k", Uri);
        Assert.NotEqual(0, code);
        foreach (ushort command in new ushort[] { 1, 4, 6 })
        {
            using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
            await client.GoAsync("", Token);
            await client.CommandAsync(command, 0, 512, Token, data: command == 1 ? new byte[512] : null);
            Assert.Equal((1u, 7ul), await client.SimpleAsync(Token)); // NBD_EPERM
        }
    }

    [Fact]
    public async Task A_device_that_fails_is_an_error_to_the_client_and_not_the_end_of_it()
    {
        await using NbdExport export = NbdExport.Writable("", "", new FaultyDevice(new MemoryDevice(Length), DeviceCall.Write, failAt: 1));
        await using NbdExport late = NbdExport.Writable("late", "", new FaultyDevice(new MemoryDevice(Length), DeviceCall.Write, failAt: 2));
        await using NbdServer server = Serve(export, late);
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GoAsync("", Token);
        await client.CommandAsync(1, 0, 4096, Token, data: new byte[4096]);
        Assert.Equal((5u, 7ul), await client.SimpleAsync(Token)); // NBD_EIO
        await client.CommandAsync(1, 0, 4096, Token, data: new byte[4096], cookie: 9);
        Assert.Equal((0u, 9ul), await client.SimpleAsync(Token));

        using RawClient other = await RawClient.ConnectAsync(server.EndPoint, Token);
        await other.GoAsync("late", Token);
        await other.CommandAsync(1, 0, 1 << 20, Token, data: new byte[1 << 20]); // in four pieces, of which the second fails
        Assert.Equal((5u, 7ul), await other.SimpleAsync(Token));
        await other.CommandAsync(1, 0, 1 << 20, Token, data: new byte[1 << 20], cookie: 9);
        Assert.Equal((0u, 9ul), await other.SimpleAsync(Token));
    }

    [Fact]
    public async Task Encryption_is_required_when_it_is_on_and_nothing_is_said_before_it()
    {
        using X509Certificate2 certificate = NewCertificate();
        await using NbdExport export = NbdExport.ReadOnly("secret", "a secret description", new MemoryDevice(4096));
        await using NbdServer server = NbdServer.Listen(
            new IPEndPoint(IPAddress.Loopback, 0), new NbdServerOptions { Exports = [export], Tls = new NbdTls(certificate, null) });
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GreetAsync(Token);
        foreach (uint option in new uint[] { 3, 6, 7, 8, 9, 10, 99 })
        {
            List<(uint Type, byte[] Data)> replies = await client.AskAsync(option, option is 6 or 7 ? RawClient.ExportData("secret") : [], Token);
            Assert.Equal(0x8000_0005u, Assert.Single(replies).Type);
        }

        await client.OptionAsync(5, [], Token);
        Assert.Equal(1u, (await client.ReplyAsync(Token)).Type);
        await using System.Net.Security.SslStream encrypted = new(client.Stream, leaveInnerStreamOpen: true, (_, presented, _, _) => presented?.GetCertHashString() == certificate.GetCertHashString());
        await encrypted.AuthenticateAsClientAsync("localhost");
        Assert.True(encrypted.IsEncrypted);
    }

    [Fact]
    public async Task Libnbd_talks_to_it_under_tls()
    {
        Requires.Tool("nbdinfo");
        using X509Certificate2 certificate = NewCertificate();
        await File.WriteAllTextAsync(_directory["ca-cert.pem"], certificate.ExportCertificatePem(), Token);
        await using NbdExport export = NbdExport.ReadOnly("", "", new MemoryDevice(Length));
        await using NbdServer server = NbdServer.Listen(
            new IPEndPoint(IPAddress.Loopback, 0), new NbdServerOptions { Exports = [export], Tls = new NbdTls(certificate, null) });
        int port = ((IPEndPoint)server.EndPoint).Port;
        Assert.Equal($"{Length}", (await Tool.DemandAsync("nbdinfo", "--size", $"nbds://localhost:{port}/?tls-certificates={_directory.Path}")).Trim());
        (int code, _) = await Tool.RunAsync("nbdinfo", "--size", $"nbd://localhost:{port}/");
        Assert.NotEqual(0, code);
    }

    [Fact]
    public async Task Words_in_the_clear_behind_the_request_for_encryption_end_the_connection()
    {
        using X509Certificate2 certificate = NewCertificate();
        await using NbdExport export = NbdExport.ReadOnly("", "", new MemoryDevice(4096));
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export], Tls = new NbdTls(certificate, null) });
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.ReadAsync(18, Token);
        byte[] both = new byte[4 + 16 + 16]; // flags, STARTTLS, and LIST behind it, in one packet
        both[3] = 3;
        foreach ((int at, byte option) in new[] { (4, (byte)5), (20, (byte)3) })
        {
            "IHAVEOPT"u8.CopyTo(both.AsSpan(at));
            both[at + 11] = option;
        }

        await client.Stream.WriteAsync(both, Token);
        Assert.True(await client.IsClosedAsync(Token));
    }

    [Fact]
    public async Task Disposing_answers_what_is_in_work_and_removes_the_socket()
    {
        HeldDevice held = new(new MemoryDevice(Length));
        await using NbdExport export = NbdExport.ReadOnly("", "", held);
        NbdServer server = Serve(export);
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GoAsync("", Token);
        await client.CommandAsync(0, 0, 512, Token);
        await held.Arrived;
        Task disposing = server.DisposeAsync().AsTask();
        held.Release();
        Assert.Equal((0u, 7ul), await client.SimpleAsync(Token));
        await client.ReadAsync(512, Token);
        Assert.True(await client.IsClosedAsync(Token));
        await disposing;
        Assert.False(File.Exists(SocketPath));
    }

    private NbdServer Serve(params NbdExport[] exports) => Serve(new NbdServerOptions { Exports = exports });

    private NbdServer Serve(NbdServerOptions options) => NbdServer.Listen(new UnixDomainSocketEndPoint(SocketPath), options);

    private static X509Certificate2 NewCertificate()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
    }
}
