using System.Globalization;

namespace Quench.Vault.Format;

/// <summary>What objects are called. (§2)</summary>
internal static class ObjectNames
{
    internal const string Format = "format";
    internal const string Configs = "config/";
    internal const string Slots = "keys/";
    internal const string Rings = "ring/";
    internal const string Packs = "packs/";
    internal const string Indexes = "index/";
    internal const string Sessions = "sessions/";
    internal const string Points = "points/";
    internal const string Commits = "commits/";
    internal const string Forgets = "forgets/";
    internal const string Collections = "gc/";
    internal const string Removals = "removed/";
    internal const string Copies = "copies/";
    internal const string Parities = "parity/";
    internal const string Checks = "checks/";

    /// <summary>Every name of a vault begins with one of these, or is one of them.</summary>
    internal static readonly string[] All =
        [Format, Configs, Slots, Rings, Packs, Indexes, Sessions, Points, Commits, Forgets, Collections, Removals, Copies, Parities, Checks];

    internal static string Config(long number) => Configs + Digits(number);

    internal static string Ring(long number) => Rings + Digits(number);

    internal static string Slot(Guid id) => Slots + Hex(id);

    internal static string Index(Guid id) => Indexes + Hex(id);

    internal static string Session(Guid id) => Sessions + Hex(id);

    internal static string Point(Guid id) => Points + Hex(id);

    internal static string Commit(Guid session) => Commits + Hex(session);

    internal static string Forget(Guid point) => Forgets + Hex(point);

    internal static string Removal(Guid slot) => Removals + Hex(slot);

    internal static string Condemned(long generation) => $"{Collections}{Digits(generation)}/condemned";

    internal static string Sweep(long generation) => $"{Collections}{Digits(generation)}/sweep";

    internal static string Done(long generation) => $"{Collections}{Digits(generation)}/done";

    internal static string Pack(Guid id)
    {
        string hex = Hex(id);
        return $"{Packs}{hex.AsSpan(0, 2)}/{hex}";
    }

    /// <summary>The parity of a pack.</summary>
    internal static string Parity(Guid pack)
    {
        string hex = Hex(pack);
        return $"{Parities}{hex.AsSpan(0, 2)}/{hex}";
    }

    internal static string Check(Guid id) => Checks + Hex(id);

    /// <summary>The id that a name ends with.</summary>
    /// <returns>False when it does not end with 32 lower-case hexadecimal digits after its last slash.</returns>
    internal static bool TryParseId(string name, out Guid id)
    {
        ReadOnlySpan<char> last = name.AsSpan(name.LastIndexOf('/') + 1);
        bool sound = Guid.TryParseExact(last, "N", out id) && !last.ContainsAnyInRange('A', 'F');
        return sound;
    }

    /// <summary>The number that follows a prefix: of <c>config/00000003</c>, or of <c>gc/00000003/done</c>.</summary>
    internal static bool TryParseNumber(string name, string prefix, out long number)
    {
        number = 0;
        if (!name.StartsWith(prefix, StringComparison.Ordinal))
        {
            return false;
        }

        ReadOnlySpan<char> rest = name.AsSpan(prefix.Length);
        int end = rest.IndexOf('/');
        return long.TryParse(end < 0 ? rest : rest[..end], NumberStyles.None, CultureInfo.InvariantCulture, out number) && number > 0;
    }

    private static string Hex(Guid id) => id.ToString("N");

    private static string Digits(long number) => number.ToString("D8", CultureInfo.InvariantCulture);
}
