using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Blocks.Devices;

public sealed class OverlayTests
{
    private const int Length = 256 * 1024;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_bottom_is_never_written()
    {
        Random random = TestSeed.NewRandom();
        MemoryDevice bottom = new(Length);
        byte[] before = random.NextBytes(Length);
        bottom.Write(0, before);
        Overlay overlay = new(bottom, new MemoryDevice(Length));
        for (int round = 0; round < 100; round++)
        {
            int offset = random.Next(Length / 512) * 512;
            int length = Math.Min(random.Next(1, 40) * 512, Length - offset);
            await overlay.WriteAsync(offset, random.NextBytes(length), Token);
            await overlay.ZeroAsync(new Extent(offset, 512), Token);
            await overlay.DiscardAsync(new Extent(offset, length), Token);
        }

        byte[] after = new byte[Length];
        bottom.Read(0, after);
        Assert.True(before.AsSpan().SequenceEqual(after));
        Assert.InRange(overlay.BytesOnTop, 4096, Length);
    }

    [Fact]
    public async Task Writing_part_of_a_block_keeps_the_rest_of_it()
    {
        MemoryDevice bottom = new(Length);
        byte[] content = TestSeed.NewRandom().NextBytes(Length);
        bottom.Write(0, content);
        Overlay overlay = new(bottom, new MemoryDevice(Length));
        await overlay.WriteAsync(4096 + 512, new byte[1024], Token);
        Assert.Equal(4096, overlay.BytesOnTop);
        byte[] block = new byte[3 * 4096];
        await overlay.ReadAsync(0, block, Token);
        content.AsSpan(4096 + 512, 1024).Clear();
        Assert.True(content.AsSpan(0, block.Length).SequenceEqual(block));
    }

    [Fact]
    public async Task A_write_waits_for_the_one_that_is_carrying_the_same_block_up()
    {
        MemoryDevice memory = new(Length);
        memory.Write(0, TestSeed.NewRandom().NextBytes(Length));
        HeldDevice bottom = new(memory);
        Overlay overlay = new(bottom, new MemoryDevice(Length));
        Task first = overlay.WriteAsync(0, Repeat(0x11), Token).AsTask();
        await bottom.Arrived;
        Task second = overlay.WriteAsync(512, Repeat(0x22), Token).AsTask();
        Assert.False(second.IsCompleted, "the second write must wait, or the first one's copy would bury it");
        bottom.Release();
        await Task.WhenAll(first, second);
        byte[] both = new byte[1024];
        await overlay.ReadAsync(0, both, Token);
        Assert.Equal([.. Repeat(0x11), .. Repeat(0x22)], both);
    }

    [Fact]
    public async Task A_write_that_fails_leaves_the_block_as_the_bottom_has_it()
    {
        for (int failAt = 1; ; failAt++)
        {
            MemoryDevice bottom = new(Length);
            byte[] content = TestSeed.NewRandom().NextBytes(Length);
            bottom.Write(0, content);
            FaultyDevice top = new(new MemoryDevice(Length), kind: null, failAt);
            Overlay overlay = new(bottom, top);
            Exception? failure = await Record.ExceptionAsync(async () => await overlay.WriteAsync(512, new byte[4096], Token));
            if (failure is null)
            {
                Assert.False(top.HasFailed);
                Assert.Equal(4, failAt); // two blocks carried up and one write: three calls, each of which has failed once
                return;
            }

            byte[] read = new byte[8192];
            await overlay.ReadAsync(0, read, Token);
            Assert.True(content.AsSpan(0, read.Length).SequenceEqual(read));
        }
    }

    private static byte[] Repeat(byte value) => [.. Enumerable.Repeat(value, 512)];
}
