using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests;

/// <summary>What a test needs of the machine. A machine without it skips the test and says why.</summary>
internal static class Requires
{
    public static void Root() => Assert.SkipUnless(ProcessControl.IsRoot, "needs root");

    public static void Tool(string name) => Assert.SkipUnless(FindTool(name) is not null, $"needs the tool '{name}'");

    public static string? FindTool(string name) => (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin")
        .Split(':', StringSplitOptions.RemoveEmptyEntries)
        .Select(directory => Path.Combine(directory, name))
        .FirstOrDefault(File.Exists);
}
