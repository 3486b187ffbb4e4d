using System.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Stores;

namespace Quench.Vault.Parity;

/// <summary>Makes and stores the parity of packs that are in memory. Thread-safe. (docs/vault-format.md §6.5)</summary>
internal sealed class ParityPutter(IObjectStore store, ParitySettings settings)
{
    private readonly ReedSolomon? _code = settings.IsNone ? null : new ReedSolomon(settings.DataShards, settings.ParityShards);

    internal ParitySettings Settings { get; } = settings;

    /// <summary>Stores the parity of a pack; durable when the task completes.</summary>
    /// <returns>Bytes of the object.</returns>
    internal async Task<int> PutAsync(Guid packId, Guid vaultId, ReadOnlyMemory<byte> pack, CancellationToken cancellationToken)
    {
        int length = PackParity.SizeOf(pack.Length, Settings);
        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            Memory<byte> parity = rented.AsMemory(0, length);
            PackParity.Write(parity.Span, pack.Span, vaultId, packId, _code!, Settings);
            await store.PutAsync(ObjectNames.Parity(packId), parity, cancellationToken);
            return length;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
