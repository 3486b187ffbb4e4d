namespace Quench.Vault;

/// <summary>
/// A chunk's id, and a CRC-32C of its bytes that was taken before the id was computed: if what is stored gives back bytes of this checksum,
/// no bit of them fell over in memory between naming and storing. From <see cref="BackupSession.Name"/>.
/// </summary>
/// <param name="Id">The id.</param>
/// <param name="Checksum">The checksum; it stays in memory.</param>
public readonly record struct ChunkName(ChunkId Id, uint Checksum);
