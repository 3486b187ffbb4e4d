using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Imaging;

/// <summary>Runs while nothing else does: what it measures is the whole process.</summary>
[Collection("alone")]
public sealed class CaptureAllocationTests
{
    private const int PartBytes = 16 << 20;
    private const int Parts = 8;

    // Each chunk has its 32-byte entry in a map page. What else there is, the waits of a segment, is shared by the segment's chunks.
    private const double Limit = 64;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_chunk_that_the_vault_has_allocates_its_entry_in_the_map_and_little_else()
    {
        byte[] part = TestSeed.NewRandom().NextBytes(PartBytes);
        MemoryDevice small = Repeat(part, 1);
        MemoryDevice large = Repeat(part, Parts);
        await using BackupVault vault = await TestVault.NewAsync(Token);
        await CaptureAsync(vault, small);
        await CaptureAsync(vault, large);
        long few = await AllocatedAsync(() => CaptureAsync(vault, small));
        long many = await AllocatedAsync(() => CaptureAsync(vault, large));
        double perChunk = (double)(many - few) / ((Parts - 1) * PartBytes / TestVault.ChunkSize);
        TestContext.Current.TestOutputHelper?.WriteLine($"{perChunk:0.0} bytes allocated per chunk of {TestVault.ChunkSize}");
        Assert.InRange(perChunk, 0, Limit);
    }

    private static async Task<long> AllocatedAsync(Func<Task> act)
    {
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await act();
        return GC.GetTotalAllocatedBytes(precise: true) - before;
    }

    private static async Task CaptureAsync(BackupVault vault, MemoryDevice device)
    {
        CaptureRequest request = new()
        {
            Snapshot = new ScriptedSnapshot(device),
            Analysis = new VolumeAnalysis(null, UsedBlocks.All(device.Geometry.Length), null),
            Name = "vol",
            Host = "testhost",
        };
        await VolumeCapture.RunAsync(request, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, Token);
    }

    private static MemoryDevice Repeat(byte[] part, int times)
    {
        MemoryDevice device = new(part.Length * times, sectorSize: 1);
        for (int i = 0; i < times; i++)
        {
            device.Write(i * part.Length, part);
        }

        return device;
    }
}
