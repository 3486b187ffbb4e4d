namespace Quench.Vault;

/// <summary>A chunk as it will lie in a pack, in memory of the session's. Whoever holds it owns it until disposing it or handing it on.</summary>
public sealed class SealedChunk : IDisposable
{
    /// <summary>The chunk's id.</summary>
    public ChunkId Id => throw new NotImplementedException();

    /// <summary>Bytes of the plaintext.</summary>
    public int PlainLength => throw new NotImplementedException();

    /// <summary>Bytes it takes in a pack.</summary>
    public int SealedLength => throw new NotImplementedException();

    /// <summary>Returns its memory. Doing it twice does nothing.</summary>
    public void Dispose() => throw new NotImplementedException();
}
