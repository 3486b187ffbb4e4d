namespace Quench.Vault;

/// <summary>What a session has done so far.</summary>
/// <param name="NewChunks">Data chunks that the vault did not have.</param>
/// <param name="NewChunkBytes">Their plaintext bytes.</param>
/// <param name="NewPages">Map pages that the vault did not have.</param>
/// <param name="StoredBytes">Bytes of all objects put, the small ones included.</param>
/// <param name="StoredObjects">How many objects.</param>
public readonly record struct SessionTotals(long NewChunks, long NewChunkBytes, long NewPages, long StoredBytes, long StoredObjects);
