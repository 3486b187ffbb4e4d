using Quench.Blocks;
using Quench.FileSystems;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.Swap;

/// <summary>Linux swap: its first page, and nothing else unless a machine sleeps in it.</summary>
public sealed class SwapTests(ITestOutputHelper output)
{
    private const int Length = 1 << 20;

    [Theory]
    [InlineData(4096)]
    [InlineData(65536)]
    public async Task Only_the_first_page_is_in_use(int page)
    {
        byte[] image = await MakeAsync(page);
        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Null(ours.Doubt);
        Assert.Equal(new FileSystemFacts("swap", "a name", "01234567-89ab-cdef-0123-456789abcdef", page, Length, FileSystemState.Clean), ours.FileSystem);
        Assert.Equal([new Extent(0, page), new Extent(Length, 1536)], ours.Used.InBlocksOf(512).Runs());
    }

    [Fact]
    public async Task A_header_of_the_other_byte_order_is_read_too()
    {
        byte[] image = await MakeAsync(4096);
        image.AsSpan(0x400, 4).Reverse();
        image.AsSpan(0x404, 4).Reverse();
        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Null(ours.Doubt);
        Assert.Equal(Length, ours.FileSystem!.Length);
    }

    [Theory]
    [InlineData("S1SUSPEND\0")]
    [InlineData("LINHIB0001")]
    public async Task The_memory_of_a_sleeping_machine_is_kept(string mark)
    {
        byte[] image = await MakeAsync(4096);
        System.Text.Encoding.Latin1.GetBytes(mark, image.AsSpan(4086));
        await ExpectDoubtAsync(image, "a machine that sleeps");
    }

    [Theory]
    [InlineData(0x400, 7u)]
    [InlineData(0x404, 0u)]
    [InlineData(0x404, 500u)]
    public async Task A_header_that_cannot_be_right_puts_everything_in_use(int field, uint value)
    {
        byte[] image = await MakeAsync(4096);
        WriteUInt32LittleEndian(image.AsSpan(field), value);
        await ExpectDoubtAsync(image, "of another version, or longer");
    }

    [Fact]
    public async Task No_bytes_make_it_fail_hang_or_take_much_memory() =>
        await AnalyserFuzz.RunAsync([new(await MakeAsync(4096), [new Extent(1024, 64), new Extent(4080, 16)], _ => { })], 1 << 20, output);

    private static async Task<byte[]> MakeAsync(int page)
    {
        Tool.Require("mkswap", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", $"{Length}", folder["made.img"]);
        await Tool.RunAsync("mkswap", ["-q", "-p", $"{page}", "-L", "a name", "-U", "01234567-89ab-cdef-0123-456789abcdef", folder["made.img"]]);
        byte[] image = new byte[Length + 1536];
        (await File.ReadAllBytesAsync(folder["made.img"])).CopyTo(image, 0);
        return image;
    }
}
