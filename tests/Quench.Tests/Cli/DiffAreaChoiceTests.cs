using Quench.Blocks;
using Quench.Cli.Commands;
using Quench.Snapshots.Providers.Filter;
using Xunit;

namespace Quench.Tests.Cli;

public sealed class DiffAreaChoiceTests
{
    private const long Mebibyte = 1 << 20;
    private const long Volume = 10L << 30;

    [Fact]
    public void Memory_alone_is_the_cap()
    {
        SnapshotOptions options = new DiffAreaChoice(null, null, null).For(Volume, freeze: true, TimeSpan.FromSeconds(5));
        Assert.Equal((128 * Mebibyte, 128 * Mebibyte, null, true), (options.MemoryBytes, options.CapBytes, options.SpillFolder, options.Freeze));
        Assert.Equal(64 * Mebibyte, new DiffAreaChoice(64 * Mebibyte, null, null).For(Volume, freeze: true, TimeSpan.FromSeconds(5)).CapBytes);
    }

    [Fact]
    public void A_small_cap_takes_less_memory() =>
        Assert.Equal(8 * Mebibyte, new DiffAreaChoice(null, null, 8 * Mebibyte).For(Volume, freeze: false, TimeSpan.FromSeconds(5)).MemoryBytes);

    [Fact]
    public void A_spill_file_may_take_a_tenth_of_the_volume_when_nothing_else_is_said()
    {
        Assert.Equal(Volume / 10, new DiffAreaChoice(null, "/spill", null).For(Volume, freeze: true, TimeSpan.FromSeconds(5)).CapBytes);
        Assert.Equal(2L << 30, new DiffAreaChoice(null, "/spill", 2L << 30).For(Volume, freeze: true, TimeSpan.FromSeconds(5)).CapBytes);
    }

    [Theory]
    [InlineData(null, null, 4096L)]
    [InlineData(0L, null, null)]
    [InlineData(64L << 20, null, 32L << 20)]
    [InlineData(null, null, 1L << 30)]
    public void Sizes_that_make_no_sense_together_are_refused(long? memory, string? path, long? size)
    {
        QuenchException refusal = Assert.Throws<QuenchException>(() => new DiffAreaChoice(memory, path, size).For(Volume, freeze: true, TimeSpan.FromSeconds(5)));
        Assert.Equal(("CLI-107", 2), (refusal.Code, refusal.ExitCode));
    }
}
