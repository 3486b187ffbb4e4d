using Quench.Blocks;

namespace Quench.Vault.Stores;

/// <summary>A put met other bytes under its name. Objects are never overwritten, so this is either a wrong name or a damaged store.</summary>
/// <param name="name">The object's name.</param>
/// <param name="location">The store.</param>
public sealed class ObjectExistsException(string name, string location) : QuenchException(
    "VAULT-061", $"the object {name} is already in {location} with other content", "verify the vault: names are never used twice")
{
    /// <summary>The object's name.</summary>
    public string ObjectName { get; } = name;
}
