namespace Quench.Vault.Stores;

/// <summary>A store in which a damaged object can be healed: the one exception to "objects never change". (docs/vault-format.md §6.6)</summary>
public interface IHealingStore : IObjectStore
{
    /// <summary>
    /// Puts other bytes in an object's place, in one step: whoever reads sees all of the old or all of the new, whatever happens meanwhile, and
    /// when the task completes the new is durable. The old bytes are kept where the store's keeper can find them and readers don't.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <param name="content">Its new bytes; lent until the task completes.</param>
    /// <param name="cancellationToken">Gives up: the object is the old or the new one.</param>
    /// <returns>False when there is no such object; nothing has changed then.</returns>
    Task<bool> ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);
}
