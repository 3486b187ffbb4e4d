using System.Text;
using Quench.Tests.Vault;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.Tests.Imaging;

/// <summary>A vault in memory with small chunks, whose password costs nothing to check.</summary>
internal static class TestVault
{
    public const int ChunkSize = VaultSettings.MinChunkSize;

    public static async Task<BackupVault> NewAsync(CancellationToken cancellationToken)
    {
        VaultSettings settings = new() { ChunkSize = ChunkSize, Kdf = VaultLab.Cheap };
        CreatedVault created = await BackupVault.CreateAsync(
            new MemoryStore(), settings, Encoding.UTF8.GetBytes("password"), TimeProvider.System, VaultLab.Cheap, cancellationToken);
        return created.Vault;
    }
}
