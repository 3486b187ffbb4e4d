using Quench.Blocks;
using Quench.Cli.Output;
using Xunit;

namespace Quench.Tests.Cli;

public sealed class ErrorTextTests
{
    [Fact]
    public void A_failure_is_told_with_its_effect_the_next_step_and_its_code()
    {
        QuenchException failure = new(
            "SNAP-104",
            "snapshot of /dev/sda2 stopped: the diff area is full (4.00 GiB of 4.00 GiB in the diff area)",
            "give the diff area more room with --diff-area-size, or back up at a quieter time")
        {
            Effect = "the backup was given up and left no recovery point; the volume itself is unaffected",
        };
        Assert.Equal(
            """
            snapshot of /dev/sda2 stopped: the diff area is full (4.00 GiB of 4.00 GiB in the diff area)
              the backup was given up and left no recovery point; the volume itself is unaffected
              next: give the diff area more room with --diff-area-size, or back up at a quieter time
              code: SNAP-104   docs: docs/errors.md

            """.ReplaceLineEndings("\n"),
            ErrorText.Render(failure));
    }

    [Fact]
    public void What_is_not_known_is_not_said() =>
        Assert.Equal("it broke\n  code: X-1   docs: docs/errors.md\n", ErrorText.Render(new QuenchException("X-1", "it broke")));
}
