namespace Quench.Vault;

/// <summary>What is presented to open a vault.</summary>
public enum SecretKind
{
    /// <summary>What a person types: a password, or a recovery code.</summary>
    Typed,

    /// <summary>The content of a key file.</summary>
    KeyFile,
}

/// <summary>What opens a key slot.</summary>
public enum KeySlotKind
{
    /// <summary>Something that this program does not know, or a slot that can't be read.</summary>
    Unknown,

    /// <summary>A password.</summary>
    Password,

    /// <summary>A recovery code.</summary>
    RecoveryCode,

    /// <summary>A key file.</summary>
    KeyFile,
}

/// <summary>One way into a vault, as it was found.</summary>
/// <param name="Id">The slot's id.</param>
/// <param name="Kind">What opens it.</param>
/// <param name="Cost">What a guess costs; null where guessing is hopeless, or nothing is known.</param>
/// <param name="OpenedThis">This slot opened the vault.</param>
/// <param name="IsUsable">It is sound and this program would try it.</param>
/// <param name="Note">What is to be said of it: damage, an unreasonable or a low cost, a copy that is missing; null when all is well.</param>
public sealed record KeySlotInfo(Guid Id, KeySlotKind Kind, KdfCost? Cost, bool OpenedThis, bool IsUsable, string? Note)
{
    /// <summary>The first digits of the id, enough to tell slots apart by eye.</summary>
    public string ShortId => Id.ToString("N")[..8];
}
