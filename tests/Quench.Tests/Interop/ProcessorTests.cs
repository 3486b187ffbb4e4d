using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop;

/// <summary>How many processors a machine may have.</summary>
public sealed class ProcessorTests
{
    [Theory]
    [InlineData("0\n", 1)]
    [InlineData("0-1\n", 2)]
    [InlineData("0,2-5,127\n", 128)]
    [InlineData("0-3,8-11", 12)]
    public void The_highest_number_counts(string list, int expected) => Assert.Equal(expected, Processor.CountUpTo(list));

    [Theory]
    [InlineData("")]
    [InlineData("0-")]
    [InlineData("all")]
    public void What_is_no_list_is_an_error(string list) => Assert.Contains("no list of processors", Assert.Throws<IOException>(() => Processor.CountUpTo(list)).Message, StringComparison.Ordinal);

    [Fact]
    public void This_machine_has_at_least_those_that_run_now() => Assert.True(Processor.CountPossible() >= Environment.ProcessorCount);
}
