using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Snapshots.Providers.Tracked;
using Xunit;

namespace Quench.Tests.Snapshots.Tracked;

public sealed class HeldRestTests
{
    private const int Length = 1 << 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_answers_what_was_copied_and_refuses_everything_else()
    {
        byte[] content = TestSeed.NewRandom().NextBytes(Length);
        MemoryDevice volume = new(Length, 512);
        volume.Write(0, content);
        UsedBlocks wanted = new(Length, 4096);
        wanted.Add(new Extent(8192, 8192));
        wanted.Add(new Extent(Length - 4096, 4096));
        await using HeldRest rest = new(volume.Geometry, 64 * 1024);
        await rest.FillAsync(volume, wanted);
        volume.Write(0, new byte[Length]); // what is written afterwards is not seen
        byte[] part = new byte[4096];
        await rest.ReadAsync(12288, part, Token);
        Assert.Equal(content[12288..16384], part);
        await rest.ReadAsync(Length - 4096, part, Token);
        Assert.Equal(content[^4096..], part);
        foreach (long outside in (long[])[0, 4096, 16384, 12288 + 512])
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await rest.ReadAsync(outside, part, Token));
        }
    }

    [Fact]
    public async Task It_can_be_filled_again()
    {
        MemoryDevice volume = new(Length, 512);
        UsedBlocks wanted = new(Length, 4096);
        wanted.Add(new Extent(0, 4096));
        await using HeldRest rest = new(volume.Geometry, 64 * 1024);
        await rest.FillAsync(volume, wanted);
        volume.Write(0, [7, .. new byte[511]]);
        wanted.Add(new Extent(4096, 4096));
        await rest.FillAsync(volume, wanted);
        byte[] both = new byte[8192];
        await rest.ReadAsync(0, both, Token);
        Assert.Equal(7, both[0]);
    }
}
