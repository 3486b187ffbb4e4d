using System.Buffers.Binary;
using System.Globalization;

namespace Quench.Vault;

/// <summary>What to verify.</summary>
public sealed record VerifyRequest
{
    /// <summary>The point; null for all points and everything else in the vault.</summary>
    public RecoveryPoint? Point { get; init; }

    /// <summary>How deep to look. The vault itself goes as far as <see cref="VerifyLevel.Data"/>; what is beyond is its caller's.</summary>
    public VerifyLevel Level { get; init; } = VerifyLevel.Data;

    /// <summary>The part of the packs to look into; null for all. Everything that is no pack is looked at in every part.</summary>
    public VerifyPart? Part { get; init; }
}

/// <summary>One of so many parts of a vault's packs: whoever verifies all parts one after another has verified all. (docs/vault-format.md §9.3)</summary>
/// <param name="Number">Which, from 1.</param>
/// <param name="Count">Of how many.</param>
public readonly record struct VerifyPart(int Number, int Count)
{
    private const int MaxCount = 1000;

    /// <summary>Reads "1/30".</summary>
    public static bool TryParse(string text, out VerifyPart part)
    {
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        part = default;
        if (slash < 0
            || !int.TryParse(text.AsSpan(0, slash), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            || !int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int count))
        {
            return false;
        }

        part = new VerifyPart(number, count);
        return part.IsValid;
    }

    /// <summary>Whether there is such a part.</summary>
    public bool IsValid => Count is >= 1 and <= MaxCount && Number >= 1 && Number <= Count;

    /// <summary>As <see cref="TryParse"/> reads it.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Number}/{Count}");

    /// <summary>Whether a pack is in it.</summary>
    internal bool Holds(Guid pack)
    {
        Span<byte> id = stackalloc byte[16];
        pack.TryWriteBytes(id, bigEndian: true, out _);
        return BinaryPrimitives.ReadUInt64BigEndian(id) % (uint)Count == (uint)(Number - 1);
    }
}
