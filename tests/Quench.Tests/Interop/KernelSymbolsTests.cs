using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop;

/// <summary>Where functions lie, as the kernel lists them.</summary>
public sealed class KernelSymbolsTests
{
    private static readonly string[] s_lines =
    [
        "ffffffff81000000 T _stext", "ffffffff81763350 T iomap_dio_bio_end_io", "ffffffff81a47670 t twice", "ffffffff81a47680 t twice", "0000000000000000 T hidden", "ffffffff82000000 D data",
        "ffffffffc0001000 t of_a_module\t[btrfs]",
    ];

    [Theory]
    [InlineData("iomap_dio_bio_end_io", 0xFFFFFFFF81763350)]
    [InlineData("of_a_module", 0xFFFFFFFFC0001000)]
    public void A_function_has_its_address(string name, ulong address) => Assert.Equal(address, KernelSymbols.Find(name, s_lines));

    [Theory]
    [InlineData("twice")]
    [InlineData("hidden")]
    [InlineData("data")]
    [InlineData("missing")]
    public void What_is_not_told_or_not_one_has_none(string name) => Assert.Null(KernelSymbols.Find(name, s_lines));
}
