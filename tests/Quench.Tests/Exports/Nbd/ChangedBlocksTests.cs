using System.Net.Sockets;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>The context quench:changed.</summary>
public sealed class ChangedBlocksTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Its_answers_put_together_are_the_map_whatever_is_asked()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 50; round++)
        {
            int length = random.Next(1, 3_000_000);
            UsedBlocks map = new(length, 512);
            for (int i = random.Next(3000); i > 0; i--)
            {
                map.Add(new Extent(random.Next(length), 1));
            }

            ChangedBlocks context = new(map);
            int from = random.Next(length);
            Extent range = Extent.FromTo(from, random.Next(from + 1, length + 1));
            for (long position = range.Offset; position < range.End;)
            {
                IReadOnlyList<NbdStatus> runs = await context.GetStatusAsync(Extent.FromTo(position, range.End), Token);
                Assert.NotEmpty(runs);
                foreach (NbdStatus run in runs)
                {
                    Assert.True(run.Length > 0);
                    for (long at = position; at < position + run.Length; at++)
                    {
                        Assert.Equal(map.Bits[at / 512] ? 1u : 0u, run.Flags);
                    }

                    position += run.Length;
                }

                Assert.True(position <= range.End);
            }
        }
    }

    [Fact]
    public async Task Libnbd_finds_it_beside_the_allocation_and_reads_it()
    {
        Requires.Tool("nbdinfo");
        const int Length = 8 << 20;
        UsedBlocks map = new(Length, 64 * 1024);
        map.Add(new Extent(1 << 20, 1));
        map.Add(new Extent(5 << 20, 2 << 20));
        await using NbdExport export = NbdExport.ReadOnly("", "", new MemoryDevice(Length), new ChangedBlocks(map));
        await using NbdServer server = NbdServer.Listen(new UnixDomainSocketEndPoint(_directory["nbd.sock"]), new NbdServerOptions { Exports = [export] });
        string uri = $"nbd+unix:///?socket={_directory["nbd.sock"]}";
        string info = await Tool.DemandAsync("nbdinfo", "--json", uri);
        Assert.Contains("base:allocation", info, StringComparison.Ordinal);
        Assert.Contains("quench:changed", info, StringComparison.Ordinal);
        string changed = await Tool.DemandAsync("nbdinfo", "--map=quench:changed", uri);
        Assert.Matches(@"1048576\s+65536\s+1", changed);
        Assert.Matches(@"5242880\s+2097152\s+1", changed);
        Assert.Matches(@"7340032\s+1048576\s+0", changed);
    }
}
