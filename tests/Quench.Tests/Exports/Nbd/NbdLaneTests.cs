using System.Net.Sockets;
using Quench.Blocks;
using Quench.Exports.Nbd;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>How many commands of one client are served at once, whatever the server has got used to.</summary>
public sealed class NbdLaneTests : IDisposable
{
    private const int Limit = 60_000; // of a test, in milliseconds
    private const int Lanes = 16;
    private const int Sector = 512;

    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Theory(Timeout = Limit)]
    [InlineData(0)]
    [InlineData(100)] // one by one first: the server is used to one lane
    public async Task A_device_that_does_not_answer_is_given_sixteen_commands_and_no_more(int before)
    {
        MeetingDevice device = new(Lanes);
        await using NbdExport export = NbdExport.ReadOnly("", "", device);
        await using NbdServer server = NbdServer.Listen(new UnixDomainSocketEndPoint(_directory["nbd.sock"]), new NbdServerOptions { Exports = [export] });
        using RawClient client = await RawClient.ConnectAsync(server.EndPoint, Token);
        await client.GoAsync("", Token);
        for (int i = 0; i < before; i++)
        {
            await client.CommandAsync(0, 0, Sector, Token);
            await TakeAsync(client);
        }

        device.Close();
        for (int i = 0; i < Lanes + 8; i++)
        {
            await client.CommandAsync(0, (ulong)(i * Sector), Sector, Token);
        }

        await device.AllCame.WaitAsync(Token);
        Assert.Equal(Lanes, device.WaitingCount);
        device.Open();
        for (int i = 0; i < Lanes + 8; i++)
        {
            await TakeAsync(client);
        }
    }

    private static async Task TakeAsync(RawClient client)
    {
        Assert.Equal(0u, (await client.SimpleAsync(Token)).Error);
        await client.ReadAsync(Sector, Token);
    }

    /// <summary>Reads as zeros. While it is closed reads wait, and it says when so many do.</summary>
    private sealed class MeetingDevice(int count) : IBlockReader
    {
        private readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile bool _isClosed;
        private int _waiting;

        public Task AllCame => _all.Task;

        public int WaitingCount => Volatile.Read(ref _waiting);

        public BlockGeometry Geometry { get; } = new(1 << 20, Sector);

        public void Close() => _isClosed = true;

        public void Open() => _opened.SetResult();

        public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
        {
            into.Span.Clear();
            if (!_isClosed)
            {
                return;
            }

            if (Interlocked.Increment(ref _waiting) == count)
            {
                _all.SetResult();
            }

            await _opened.Task.WaitAsync(cancellationToken);
        }

        public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => new(ExtentMap.AllData(range));

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
