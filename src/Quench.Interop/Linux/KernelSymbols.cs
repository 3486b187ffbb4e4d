using System.Globalization;

namespace Quench.Interop.Linux;

/// <summary>Where the running kernel's functions lie, as it tells root. (/proc/kallsyms, proc_kallsyms(5))</summary>
public static class KernelSymbols
{
    /// <summary>The address of a function.</summary>
    /// <returns>Null when the kernel has no such function, tells nothing (kptr_restrict), or has several of that name.</returns>
    public static ulong? Find(string function)
    {
        const string Path = "/proc/kallsyms";
        return File.Exists(Path) ? Find(function, File.ReadLines(Path)) : null;
    }

    internal static ulong? Find(string function, IEnumerable<string> lines)
    {
        ulong? found = null;
        foreach (string line in lines)
        {
            string[] words = line.Split([' ', '\t'], 4); // address, kind, name, and a module's name
            if (words.Length >= 3 && words[1] is "t" or "T" && words[2] == function
                && ulong.TryParse(words[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong address))
            {
                if (found is not null || address == 0)
                {
                    return null;
                }

                found = address;
            }
        }

        return found;
    }
}
