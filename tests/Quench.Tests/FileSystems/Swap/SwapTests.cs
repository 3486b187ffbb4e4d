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
    public async Task Generated_ones_are_mapped_as_their_header_says_and_take_pages_when_restored()
    {
        Tool.Require("mkswap", "swaplabel", "swapon", "swapoff", "losetup");
        Tool.RequireRoot();
        RestoreTrial trial = new(SwapOnAsync, async (image, _) => [.. (await Tool.RunAsync("swaplabel", image)).Split('\n', StringSplitOptions.RemoveEmptyEntries)]);
        await GeneratedVolumes.HoldAsync(4, output, async (random, _, folder) =>
        {
            string image = folder["made.img"];
            int page = random.GetItems([4096, 4096, 4096, 8192, 16384, 65536], 1)[0];
            long length = Math.Max(11L * page, random.Next(3000) * 4096L) + (random.Next(2) * 4096);
            byte[] old = new byte[random.Next(1 << 20)]; // what it held before, or of what swapped
            random.NextBytes(old);
            await File.WriteAllBytesAsync(image, old.AsMemory(0, (int)Math.Min(old.Length, length)), TestContext.Current.CancellationToken);
            await Tool.RunAsync("truncate", "-s", $"{length}", image);
            string[] arguments = ["-q", "-f", "-p", $"{page}", .. random.Next(2) == 0 ? (IEnumerable<string>)["-L", $"name {random.Next(1000)}"] : []];
            await Tool.RunAsync("mkswap", [.. arguments, image]);
            int tail = random.Next(3) == 0 ? random.Next(1, 100) * 512 : 0;
            await Tool.RunAsync("truncate", "-s", $"+{tail}", image);
            return ($"mkswap {string.Join(' ', arguments)} ({length} + {tail} bytes)", await DifferencesAsync(image, page, length / page * page, random, trial));
        });
        trial.Demand(output);
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
        await AnalyserFuzz.RunAsync([new("swap", await FuzzCorpus.VolumeAsync("swap", () => MakeAsync(4096)), [new Extent(1024, 64), new Extent(4080, 16)], _ => { })], 1 << 20, output);

    /// <summary>Only the first page may be in use, and what lies behind the last whole one.</summary>
    private static async Task<List<string>> DifferencesAsync(string image, int page, long end, Random random, RestoreTrial trial)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        if (ours.Doubt is not null)
        {
            return [$"not mapped: {ours.Doubt}"];
        }

        UsedBlocks expected = new(volume.Geometry.Length, 512);
        expected.Add(new Extent(0, page));
        expected.Add(Extent.FromTo(end, volume.Geometry.Length));
        List<string> differences = MapComparison.Compare(ours.Used.InBlocksOf(512), expected) is { } difference ? [difference] : [];
        await trial.AddDifferencesAsync(image, ours.Used, random, differences);
        return differences;
    }

    /// <summary>Whether this kernel swaps to it; of pages that are not its own it does not, and of those only the header is asked.</summary>
    private static async Task<string?> SwapOnAsync(string image)
    {
        byte[] header = new byte[8192];
        await using (FileStream file = File.OpenRead(image))
        {
            await file.ReadExactlyAsync(header);
        }

        if (!header.AsSpan(Environment.SystemPageSize - 10, 10).SequenceEqual("SWAPSPACE2"u8))
        {
            return await RestoreTrial.AskAsync("swaplabel", image);
        }

        string loop = (await Tool.RunAsync("losetup", "-f", "--show", image)).Trim();
        try
        {
            return await RestoreTrial.AskAsync("swapon", "-p", "0", loop) ?? await RestoreTrial.AskAsync("swapoff", loop);
        }
        finally
        {
            await Tool.RunAsync("losetup", "-d", loop);
        }
    }

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
