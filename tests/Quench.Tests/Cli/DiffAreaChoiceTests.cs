using Quench.Blocks;
using Quench.Cli.Commands;
using Quench.Snapshots.Providers.Filter;
using Xunit;

namespace Quench.Tests.Cli;

public sealed class DiffAreaChoiceTests
{
    private const long Mebibyte = 1 << 20;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(5);

    [Fact]
    public void What_memory_has_no_room_for_goes_to_the_usual_folder_unless_that_is_on_the_volume()
    {
        SnapshotOptions options = For(null, null, null);
        Assert.Equal((128 * Mebibyte, null, "/var/tmp", true), (options.MemoryBytes, options.CapBytes, options.SpillFolder, options.Freeze));
        Assert.Null(new DiffAreaChoice(null, null, null).For(folder => folder == "/var/tmp", freeze: true, s_limit).SpillFolder);
        Assert.Null(For(null, "none", null).SpillFolder);
    }

    [Fact]
    public void A_small_cap_takes_less_memory() => Assert.Equal(8 * Mebibyte, For(null, null, 8 * Mebibyte).MemoryBytes);

    [Fact]
    public void A_folder_and_a_size_are_taken_as_they_are_given() =>
        Assert.Equal(("/spill", 2L << 30), (For(null, "/spill", 2L << 30).SpillFolder, For(null, "/spill", 2L << 30).CapBytes));

    [Theory]
    [InlineData(null, null, 4096L)]
    [InlineData(0L, null, null)]
    [InlineData(64L << 20, null, 32L << 20)]
    [InlineData(null, "none", 1L << 30)]
    public void Sizes_that_make_no_sense_together_are_refused(long? memory, string? path, long? size)
    {
        QuenchException refusal = Assert.Throws<QuenchException>(() => For(memory, path, size));
        Assert.Equal(("CLI-107", 2), (refusal.Code, refusal.ExitCode));
    }

    private static SnapshotOptions For(long? memory, string? path, long? size) => new DiffAreaChoice(memory, path, size).For(_ => false, freeze: true, s_limit);
}
