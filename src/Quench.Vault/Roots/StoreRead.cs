using System.Runtime.ExceptionServices;
using Quench.Blocks;
using Quench.Vault.Stores;

namespace Quench.Vault.Roots;

/// <summary>One try to read an object, of which there may be another copy: that the medium failed is kept, not thrown.</summary>
/// <param name="Content">The bytes; null when there is no such object or the medium failed.</param>
/// <param name="Failure">How it failed.</param>
internal readonly record struct StoreRead(byte[]? Content, QuenchException? Failure)
{
    internal static async Task<StoreRead> TryAsync(IObjectStore store, string name, CancellationToken cancellationToken)
    {
        try
        {
            return new StoreRead(await store.GetAsync(name, cancellationToken), null);
        }
        catch (QuenchException failure)
        {
            return new StoreRead(null, failure);
        }
    }

    internal void ThrowIfFailed()
    {
        if (Failure is not null)
        {
            ExceptionDispatchInfo.Throw(Failure);
        }
    }
}
