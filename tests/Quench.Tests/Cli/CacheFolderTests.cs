using Quench.Cli;
using Xunit;

namespace Quench.Tests.Cli;

/// <summary>Where the cache of a vault's index lies.</summary>
public sealed class CacheFolderTests
{
    private const string Id = "0102030405060708090a0b0c0d0e0f10";

    [Theory]
    [InlineData(true, null, null, null, "/var/cache/quench/" + Id)]
    [InlineData(true, "/elsewhere", "/xdg", "/home/a", "/elsewhere/" + Id)]
    [InlineData(false, "/elsewhere", null, null, "/elsewhere/" + Id)]
    [InlineData(false, "relative", "/xdg", "/home/a", "/xdg/quench/" + Id)]
    [InlineData(false, null, "relative", "/home/a", "/home/a/.cache/quench/" + Id)]
    [InlineData(false, null, null, null, null)]
    public void It_follows_the_variables_and_the_user(bool root, string? own, string? xdg, string? home, string? expected)
    {
        ScriptedHost host = new() { IsRoot = root };
        foreach ((string name, string? value) in new[] { ("QUENCH_CACHE_DIR", own), ("XDG_CACHE_HOME", xdg), ("HOME", home) })
        {
            if (value is not null)
            {
                host.Variables[name] = value;
            }
        }

        Assert.Equal(expected, CacheFolder.Of(host.Host, Guid.Parse(Id)));
    }
}
