using System.Buffers;

namespace Quench.Vault.Stores;

/// <summary>Which names an object can have: segments of a–z, 0–9 and '-', joined by '/'.</summary>
internal static class ObjectName
{
    private const int MaxLength = 200;
    private static readonly SearchValues<char> s_allowed = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");

    internal static bool IsValid(ReadOnlySpan<char> name)
    {
        if (name.Length is 0 or > MaxLength)
        {
            return false;
        }

        foreach (Range segment in name.Split('/'))
        {
            if (name[segment].IsEmpty || name[segment].ContainsAnyExcept(s_allowed))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Refuses what is no name.</summary>
    internal static void Check(string name)
    {
        if (!IsValid(name))
        {
            throw new ArgumentException($"'{name}' is not the name of an object", nameof(name));
        }
    }
}
