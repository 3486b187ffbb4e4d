using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Blocks;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1.00 KiB")]
    [InlineData(8804682957, "8.20 GiB")]
    [InlineData(1099511627776, "1.00 TiB")]
    public void It_is_shown_with_three_digits(long bytes, string shown) => Assert.Equal(shown, ByteSize.Format(bytes));

    [Theory]
    [InlineData("4096", 4096)]
    [InlineData("64K", 65536)]
    [InlineData(" 1.5 GiB ", 1610612736)]
    [InlineData("2tb", 2199023255552)]
    [InlineData("0", 0)]
    public void It_is_read_with_or_without_a_unit(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out long parsed));
        Assert.Equal(bytes, parsed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("K")]
    [InlineData("-1")]
    [InlineData("1.2.3M")]
    [InlineData("4 parsecs")]
    [InlineData("9999999999T")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Fact]
    public void What_is_shown_is_read_as_nearly_the_same()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 1000; round++)
        {
            long bytes = random.NextInt64(1L << random.Next(1, 50));
            Assert.True(ByteSize.TryParse(ByteSize.Format(bytes), out long parsed));
            Assert.InRange(parsed, bytes * 0.99, (bytes * 1.01) + 1);
        }
    }
}
