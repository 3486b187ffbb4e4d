using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>Clients that mean harm, or are broken. Whatever they do ends at most their own connection.</summary>
public sealed class NbdHostilityTests : IDisposable
{
    private const int Length = 1024 * 1024;
    private const string Scratch = "scratch"; // what bad clients may write to
    private const uint Invalid = 0x8000_0003; // NBD_REP_ERR_INVALID
    private readonly TemporaryDirectory _directory = new();
    private readonly byte[] _content = TestSeed.NewRandom().NextBytes(Length);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static int Sessions => int.TryParse(Environment.GetEnvironmentVariable("QUENCH_SESSIONS"), CultureInfo.InvariantCulture, out int count) ? count : 400;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Random_sessions_neither_stop_the_server_nor_reach_a_byte_outside()
    {
        Random random = TestSeed.NewRandom();
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync(), new ChangedBlocks(UsedBlocks.All(Length)));
        await using NbdExport scratch = NbdExport.Writable(Scratch, "", new MemoryDevice(Length, 512));
        NbdServer server = Serve(new NbdServerOptions { Exports = [export, scratch] });
        await using (server)
        {
            await LetInAsync(server, random);
        }

        Assert.Equal(0, server.ConnectionCount); // every session has ended, and the server with them
    }

    private async Task LetInAsync(NbdServer server, Random random)
    {
        using RawClient good = await RawClient.ConnectAsync(server.EndPoint, Token);
        await good.GoAsync("disk", Token);
        for (int session = 0; session < Sessions; session++)
        {
            using (RawClient bad = await RawClient.ConnectAsync(server.EndPoint, Token))
            {
                await MisbehaveAsync(bad, random);
            }

            await CheckAsync(good, (ulong)random.Next(Length - 4096));
        }
    }

    [Fact]
    public async Task Half_open_connections_keep_nobody_out()
    {
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export], MaxConnections = 8 });
        List<RawClient> silent = [];
        try
        {
            for (int i = 0; i < 100; i++)
            {
                silent.Add(await RawClient.ConnectAsync(server.EndPoint, Token));
            }

            using RawClient good = await RawClient.ConnectAsync(server.EndPoint, Token);
            await good.GoAsync("disk", Token);
            await CheckAsync(good, 4096);
            Assert.InRange(server.ConnectionCount, 1, 8);
        }
        finally
        {
            silent.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public async Task Connections_in_use_are_not_closed_for_new_ones()
    {
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export], MaxConnections = 2 });
        using RawClient one = await RawClient.ConnectAsync(server.EndPoint, Token);
        await one.GoAsync("disk", Token);
        using RawClient two = await RawClient.ConnectAsync(server.EndPoint, Token);
        await two.GoAsync("disk", Token);
        await CheckAsync(two, 0);
        using RawClient three = await RawClient.ConnectAsync(server.EndPoint, Token);
        Assert.True(await three.IsClosedAsync(Token));
        await CheckAsync(one, 512);
        await CheckAsync(two, 1024);
    }

    [Fact]
    public async Task Who_does_not_choose_an_export_in_time_is_cut_off()
    {
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export], HandshakeLimit = TimeSpan.FromMilliseconds(100) });
        using RawClient slow = await RawClient.ConnectAsync(server.EndPoint, Token);
        await slow.GreetAsync(Token);
        Assert.True(await slow.IsClosedAsync(Token));
    }

    [Fact]
    public async Task Who_takes_no_answers_is_cut_off_and_others_go_on()
    {
        TaskCompletionSource reported = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions
        {
            Exports = [export],
            StallLimit = TimeSpan.FromMilliseconds(200),
            Report = _ => reported.TrySetResult(),
        });
        using RawClient stuck = await RawClient.ConnectAsync(server.EndPoint, Token);
        await stuck.GoAsync("disk", Token);
        for (int i = 0; i < 64; i++)
        {
            await stuck.CommandAsync(0, 0, Length, Token);
        }

        using RawClient good = await RawClient.ConnectAsync(server.EndPoint, Token);
        await good.GoAsync("disk", Token);
        await CheckAsync(good, 100_000);
        await reported.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        await CheckAsync(good, 200_000);
    }

    [Theory]
    [InlineData(0, Length - 511, 512, 22u)]
    [InlineData(0, Length, 1, 22u)]
    [InlineData(0, long.MaxValue, 512, 22u)]
    [InlineData(0, 0, 33 * 1024 * 1024, 22u)]
    [InlineData(3, 1, 0, 22u)]
    [InlineData(7, 0, 512, 22u)]
    [InlineData(99, 0, 0, 22u)]
    public async Task What_leaves_the_export_or_makes_no_sense_is_an_error(ushort command, long offset, uint length, uint error)
    {
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export] });
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GoAsync("disk", Token);
        await client.CommandAsync(command, (ulong)offset, length, Token);
        Assert.Equal((error, 7ul), await client.SimpleAsync(Token));
        await CheckAsync(client, 0);
    }

    [Fact]
    public async Task Old_clients_and_absurd_lengths_are_handled()
    {
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export] });

        using RawClient old = await RawClient.ConnectAsync(server.EndPoint, Token);
        await old.GreetAsync(Token, flags: 1);
        await old.OptionAsync(1, "disk"u8.ToArray(), Token);
        byte[] answer = await old.ReadAsync(8 + 2 + 124, Token);
        Assert.Equal(Length, BinaryPrimitives.ReadInt64BigEndian(answer));
        await CheckAsync(old, 777);

        using RawClient absurd = await RawClient.ConnectAsync(server.EndPoint, Token);
        await absurd.GreetAsync(Token);
        byte[] header = new byte[16];
        "IHAVEOPT"u8.CopyTo(header);
        header[11] = 7;
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(12), uint.MaxValue);
        await absurd.Stream.WriteAsync(header, Token);
        Assert.True(await absurd.IsClosedAsync(Token));

        using RawClient unknownFlags = await RawClient.ConnectAsync(server.EndPoint, Token);
        await unknownFlags.GreetAsync(Token, flags: 0x80);
        Assert.True(await unknownFlags.IsClosedAsync(Token));

        using RawClient lying = await RawClient.ConnectAsync(server.EndPoint, Token);
        await lying.GoAsync("disk", Token);
        await lying.CommandAsync(1, 0, uint.MaxValue, Token);
        Assert.True(await lying.IsClosedAsync(Token));
    }

    [Fact]
    public async Task Names_queries_and_options_without_end_are_refused()
    {
        await using NbdExport export = NbdExport.ReadOnly("disk", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [export] });
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GreetAsync(Token);
        Assert.Equal(1u, Assert.Single(await client.AskAsync(8, [], Token)).Type);
        Assert.Equal(Invalid, Assert.Single(await client.AskAsync(6, RawClient.ExportData(new string('x', 5000)), Token)).Type);
        Assert.Equal(Invalid, Assert.Single(await client.AskAsync(10, ContextData("disk", new string('x', 5000)), Token)).Type);
        Assert.Equal(Invalid, Assert.Single(await client.AskAsync(10, ContextData("disk", [.. Enumerable.Repeat("a:b", 300)]), Token)).Type);
        for (int i = 0; i < 1020; i++)
        {
            await client.AskAsync(99, [], Token);
        }

        Assert.True(await client.IsClosedAsync(Token));
    }

    [Fact]
    public async Task A_context_that_was_not_chosen_for_the_export_can_not_be_asked()
    {
        await using NbdExport one = NbdExport.ReadOnly("disk", "", await NewDeviceAsync(), new ChangedBlocks(UsedBlocks.All(Length)));
        await using NbdExport other = NbdExport.ReadOnly("other", "", await NewDeviceAsync());
        await using NbdServer server = Serve(new NbdServerOptions { Exports = [one, other] });
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GreetAsync(Token);
        await client.AskAsync(8, [], Token);
        Assert.Equal(2, (await client.AskAsync(10, ContextData("disk", "quench:changed", "quench:none"), Token)).Count); // one, and the acknowledgement
        Assert.Single(await client.AskAsync(10, ContextData("other", "quench:changed"), Token));
        await client.AskAsync(10, ContextData("disk", "quench:changed"), Token);
        await client.AskAsync(7, RawClient.ExportData("other"), Token); // chosen for one, gone to the other
        await client.CommandAsync(7, 0, 4096, Token);
        byte[] error = await client.ReadAsync(20 + 4, Token);
        Assert.Equal(0x8001, BinaryPrimitives.ReadUInt16BigEndian(error.AsSpan(6)));
        Assert.Equal(22u, BinaryPrimitives.ReadUInt32BigEndian(error.AsSpan(20)));
    }

    private async Task<MemoryDevice> NewDeviceAsync()
    {
        MemoryDevice device = new(Length);
        await device.WriteAsync(0, _content, Token);
        return device;
    }

    private NbdServer Serve(NbdServerOptions options) => NbdServer.Listen(new UnixDomainSocketEndPoint(_directory["nbd.sock"]), options);

    private async Task CheckAsync(RawClient client, ulong offset)
    {
        await client.CommandAsync(0, offset, 4096, Token);
        Assert.Equal((0u, 7ul), await client.SimpleAsync(Token));
        Assert.Equal(_content[(int)offset..((int)offset + 4096)], await client.ReadAsync(4096, Token));
    }

    /// <summary>A session that is right up to a random step and wrong from there: in a length, a flag, an order, or in every byte.</summary>
    private static async Task MisbehaveAsync(RawClient client, Random random)
    {
        try
        {
            if (random.Next(10) == 0)
            {
                await client.Stream.WriteAsync(random.NextBytes(random.Next(1, 300)), Token);
                return;
            }

            await client.GreetAsync(Token, random.Next(20) == 0 ? (uint)random.Next() : 3);
            for (int option = random.Next(4); option > 0; option--)
            {
                await client.OptionAsync((uint)random.Next(13), OptionData(random), Token);
            }

            if (random.Next(4) == 0)
            {
                return; // leaves in the middle
            }

            await client.OptionAsync(7, RawClient.ExportData(random.Next(2) == 0 ? "disk" : Scratch), Token);
            for (int command = random.Next(8); command > 0; command--)
            {
                await CommandAsync(client, random);
            }
        }
        catch (Exception failure) when (failure is IOException or EndOfStreamException)
        {
            // The server has had enough of us.
        }
    }

    /// <summary>A command in which each part is right half of the time, and a write's data are there in most cases.</summary>
    private static Task CommandAsync(RawClient client, Random random)
    {
        ushort type = (ushort)random.Next(9);
        ushort flags = random.Next(3) == 0 ? (ushort)random.Next(65536) : (ushort)random.Next(2);
        ulong offset = random.Next(2) == 0 ? (ulong)random.Next(Length) : (ulong)random.NextInt64();
        uint length = random.Next(2) == 0 ? (uint)random.Next(4096) : (uint)random.NextInt64(1L << 32);
        byte[]? data = type == 1 && random.Next(8) > 0 ? random.NextBytes((int)Math.Min(length, 8192)) : random.Next(8) == 0 ? random.NextBytes(random.Next(2048)) : null;
        return client.CommandAsync(type, offset, length, Token, flags, data);
    }

    /// <summary>Right for one option and wrong for the others, nearly right, or noise.</summary>
    private static byte[] OptionData(Random random)
    {
        byte[] data = random.Next(4) switch
        {
            0 => RawClient.ExportData("disk"),
            1 => ContextData("disk", random.Next(3) == 0 ? "quench:" : "quench:changed", "base:allocation"),
            2 => [],
            _ => random.NextBytes(random.Next(64)),
        };
        if (data.Length > 0 && random.Next(3) == 0)
        {
            data[random.Next(data.Length)] = (byte)random.Next(256); // a length, a count or a letter
        }

        return data;
    }

    /// <summary>The data of NBD_OPT_SET_META_CONTEXT.</summary>
    private static byte[] ContextData(string export, params string[] queries)
    {
        List<byte> data = [];
        Append(data, export);
        AppendNumber(data, queries.Length);
        foreach (string query in queries)
        {
            Append(data, query);
        }

        return [.. data];
    }

    private static void Append(List<byte> data, string text)
    {
        AppendNumber(data, Encoding.UTF8.GetByteCount(text));
        data.AddRange(Encoding.UTF8.GetBytes(text));
    }

    private static void AppendNumber(List<byte> data, int number)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, number);
        data.AddRange(bytes);
    }
}
