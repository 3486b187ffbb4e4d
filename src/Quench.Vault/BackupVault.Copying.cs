namespace Quench.Vault;

/// <content>What <see cref="PointCopier"/> needs of a vault.</content>
public sealed partial class BackupVault
{
    /// <summary>Reads chunks by their ids.</summary>
    internal ChunkReader Chunks => _chunks;
}
