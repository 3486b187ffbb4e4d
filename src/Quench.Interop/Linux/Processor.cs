using System.Globalization;

namespace Quench.Interop.Linux;

/// <summary>This machine's processors, as the kernel numbers them. Stateless and thread-safe.</summary>
public static class Processor
{
    private const string Possible = "/sys/devices/system/cpu/possible";

    /// <summary>One more than the highest number that a processor can have until the next boot, those that can be plugged in later included.</summary>
    /// <exception cref="IOException">The kernel does not tell.</exception>
    public static int CountPossible() => CountUpTo(File.ReadAllText(Possible));

    /// <summary>The same of a list such as "0-3,8". (Documentation/admin-guide/cputopology.rst)</summary>
    /// <exception cref="IOException">It is not one.</exception>
    internal static int CountUpTo(string list)
    {
        string last = list.Trim()[(list.Trim().LastIndexOfAny(['-', ',']) + 1)..];
        return int.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out int highest)
            ? highest + 1
            : throw new IOException($"{Possible} says \"{list.Trim()}\", which is no list of processors");
    }
}
