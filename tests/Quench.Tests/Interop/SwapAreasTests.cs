using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop;

public sealed class SwapAreasTests
{
    [Fact]
    public void Files_and_devices_are_told_apart_and_names_are_unescaped()
    {
        string[] lines =
        [
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority",
            "/dev/sda3                               partition\t8388604\t\t0\t\t-2",
            "/srv/a\\040name                          file\t\t1048572\t\t524\t\t-3",
            "",
        ];
        Assert.Equal([new SwapArea("/dev/sda3", false), new SwapArea("/srv/a name", true)], SwapAreas.Parse(lines));
    }

    [Fact]
    public void This_machine_answers() => Assert.All(SwapAreas.Read(), area => Assert.StartsWith("/", area.Path, StringComparison.Ordinal));
}
