using System.Diagnostics;
using System.Net.Sockets;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Nbd;
using Xunit;

namespace Quench.Tests.Exports.Nbd;

/// <summary>What a command costs the garbage collector. Runs while nothing else does: what it measures is the whole process, its client included.</summary>
[Collection("alone")]
public sealed class NbdAllocationTests : IDisposable
{
    private const int Commands = 10_000;
    private const int Depth = 16;
    private const double Limit = 32; // bytes a command; one object would be 24 and more
    private const int FileLength = 4 << 20;

    private readonly TemporaryDirectory _directory = new();

    /// <summary>How the file is reached.</summary>
    public enum Way
    {
        /// <summary>Through the page cache, on the lane's thread.</summary>
        Cached,

        /// <summary>The same by a call that ends on another thread.</summary>
        Elsewhere,

        /// <summary>Past the page cache, by whole sectors, on the lane's thread: as an attached volume is.</summary>
        Direct,
    }

    public static TheoryData<NbdWork, Way> All => [.. from work in Enum.GetValues<NbdWork>() from way in Enum.GetValues<Way>() select (work, way)];

    public void Dispose() => _directory.Dispose();

    [Theory]
    [MemberData(nameof(All))]
    public async Task A_command_allocates_nothing(NbdWork work, Way way)
    {
        Assert.SkipWhen(way == Way.Direct && IsDebugBuild, "a debug build's asynchronous methods allocate their state: run it on a release build");
        await using NbdExport export = NbdExport.Writable("", "", Open(way));
        await using NbdServer server = NbdServer.Listen(new UnixDomainSocketEndPoint(_directory["nbd.sock"]), new NbdServerOptions { Exports = [export] });
        using QuietClient client = QuietClient.Connect(server.EndPoint, structured: work == NbdWork.ReadInChunks);
        client.Run(work, Commands / 10, Depth, FileLength); // lanes are made, pools filled
        long before = GC.GetTotalAllocatedBytes(precise: true);
        client.Run(work, Commands, Depth, FileLength);
        double each = (double)(GC.GetTotalAllocatedBytes(precise: true) - before) / Commands;
        TestContext.Current.TestOutputHelper?.WriteLine($"{work}, {way}: {each:0.00} bytes a command");
        Assert.InRange(each, 0, Limit);
    }

    private static bool IsDebugBuild =>
        typeof(WritableByteAddressable).Assembly.GetCustomAttributes(typeof(DebuggableAttribute), false) is [DebuggableAttribute { IsJITOptimizerDisabled: true }];

    private IBlockDevice Open(Way way)
    {
        ImageFile file = ImageFile.CreateNew(_directory["disk"], FileLength, direct: way == Way.Direct);
        return way == Way.Elsewhere ? file : new BlockingDisk(file);
    }
}
