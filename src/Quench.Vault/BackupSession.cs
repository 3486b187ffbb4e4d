using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Points;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>
/// Adds one recovery point to a vault. For each chunk: <see cref="Identify"/>; if <see cref="TryClaim"/> says so, seal it and <see cref="AddAsync"/>;
/// then <see cref="ImageWriter.Set"/>. At the end <see cref="ImageWriter.FinishAsync"/> for each image, then <see cref="CommitAsync"/>.
/// </summary>
/// <remarks>
/// Nothing that a session does can be seen in the vault before the commit, and nothing can be lost by abandoning it. The first failure of a put is
/// kept and thrown by every later call that stores something. Dispose it before the vault.
/// </remarks>
public sealed partial class BackupSession : IAsyncDisposable
{
    private readonly IObjectStore _store;
    private readonly VaultKeys _keys;
    private readonly TimeProvider _clock;
    private readonly SessionKey _session;
    private readonly IChunkIndex _known;
    private readonly IReadOnlyList<Guid> _previous;
    private readonly long _generation;
    private readonly SealedChunkPool _sealed;
    private readonly PackWriter _packs;
    private readonly Func<string, ReadOnlyMemory<byte>, CancellationToken, Task> _takeIndexed;
    private readonly ClaimTable _claims = new();
    private readonly int _chunkSize;
    private long _newChunks;
    private long _newChunkBytes;
    private long _newPages;
    private int _committing; // 1 from the first CommitAsync on
    private bool _disposed;

    internal BackupSession(SessionStart start)
    {
        _store = start.Store;
        _keys = start.Keys;
        _clock = start.Clock;
        _session = start.Session;
        _known = start.Known;
        _previous = start.Previous;
        _generation = start.Generation;
        _chunkSize = start.ChunkSize;
        _sealed = new SealedChunkPool(Math.Max(_chunkSize, MapTree.PageSize) + SealedLayout.Overhead);
        _takeIndexed = start.TakeIndexed;
        _packs = new PackWriter(_store, _keys, _session, start.PackTarget, _generation, IndexedAsync, start.Parity);
        _packs.Count(start.RegisteredBytes);
        _begun = start.Begun;
    }

    /// <summary>The session's id.</summary>
    public Guid Id => _session.SessionId;

    /// <summary>The garbage collection that it had seen when it began; 0 when there had been none.</summary>
    internal long Generation => _generation;

    /// <summary>What it has done so far. May be asked at any time.</summary>
    public SessionTotals Totals
    {
        get
        {
            (long bytes, long objects) = _packs.Stored;
            return new SessionTotals(
                Interlocked.Read(ref _newChunks), Interlocked.Read(ref _newChunkBytes), Interlocked.Read(ref _newPages), bytes, objects);
        }
    }

    /// <summary>Names a data chunk: its checksum first, then its id. Thread-safe; allocates nothing.</summary>
    /// <param name="plaintext">Its bytes: a whole chunk, or the shorter last one of a volume. Not empty.</param>
    public ChunkName Name(ReadOnlySpan<byte> plaintext)
    {
        uint checksum = MemoryChecksum.Of(plaintext);
        return new ChunkName(Identify(plaintext), checksum);
    }

    /// <summary>The id of a data chunk. Thread-safe; allocates nothing.</summary>
    /// <param name="plaintext">Its bytes: a whole chunk, or the shorter last one of a volume. Not empty.</param>
    public ChunkId Identify(ReadOnlySpan<byte> plaintext)
    {
        CheckLength(plaintext.Length);
        return _keys.Identify(ChunkMeta.DataType, plaintext);
    }

    /// <summary>Asks whether a chunk must be stored. Thread-safe.</summary>
    /// <returns>True: this caller must seal and add it. False: the vault has it, or somebody in this session has claimed it; also for the hole.</returns>
    public bool TryClaim(ChunkId id)
    {
        if (id.IsHole || _known.CanRelyOn(id) || !_claims.TryClaim(id))
        {
            return false;
        }

        // A claim ends when the index has the chunk, and that may have been between the two questions.
        if (!_known.CanRelyOn(id))
        {
            return true;
        }

        _claims.Withdraw(id);
        return false;
    }

    /// <summary>A sealer for one lane: not thread-safe, disposed by the caller before the session.</summary>
    public ChunkSealer NewSealer(Compression compression = Compression.Standard) => new(_keys, _session, _sealed, _chunkSize, compression);

    /// <summary>Takes a sealed chunk for storing. Thread-safe. Waits while too much is on its way to the store.</summary>
    /// <param name="chunk">The chunk; the session's from now on, also when this fails.</param>
    /// <param name="cancellationToken">Gives up waiting; the session can then only be disposed.</param>
    /// <exception cref="InvalidOperationException">Nobody has claimed it, or it has been added before.</exception>
    public ValueTask AddAsync(SealedChunk chunk, CancellationToken cancellationToken)
    {
        if (!_claims.TryFulfil(chunk.Id))
        {
            chunk.Dispose();
            throw new InvalidOperationException($"chunk {chunk.Id} was not claimed, or has been added before");
        }

        if (chunk.Meta.Type == ChunkMeta.DataType)
        {
            Interlocked.Increment(ref _newChunks);
            Interlocked.Add(ref _newChunkBytes, chunk.PlainLength);
        }
        else
        {
            Interlocked.Increment(ref _newPages);
        }

        return _packs.AddAsync(chunk, cancellationToken);
    }

    /// <summary>Begins the map of a volume's image.</summary>
    /// <param name="length">Bytes of the volume.</param>
    /// <param name="chunksToCome">A bit for each chunk of the volume, set where <see cref="ImageWriter.Set"/> will be called; the rest are holes. Not changed meanwhile.</param>
    public ImageWriter NewImage(long length, BlockBitmap chunksToCome)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        long chunks = (length / _chunkSize) + (length % _chunkSize == 0 ? 0 : 1);
        return chunksToCome.Length == chunks
            ? Keep(new ImageWriter(this, chunksToCome, null, null, _giveUpImages.Token))
            : throw new ArgumentException($"a volume of {length} bytes has {chunks} chunks, not {chunksToCome.Length}", nameof(chunksToCome));
    }

    /// <summary>
    /// Makes durable all that has been added, so that <see cref="BackupVault.OpenImage"/> can read the session's images although no point names them
    /// yet: for whoever wants proof before the commit. Call it when the images are finished; more may be added afterwards.
    /// </summary>
    /// <param name="cancellationToken">Gives up waiting; the session can then only be disposed.</param>
    public Task SettleAsync(CancellationToken cancellationToken) => _packs.FinishAsync(cancellationToken);

    /// <summary>
    /// Makes the recovery point: packs, then index, then manifest, then commit key, each durable before the next. When it completes the point
    /// survives anything. When it fails, there is no point, but for a failure of the very last step: then the next listing of points tells.
    /// </summary>
    /// <param name="draft">The point, with the roots of its images.</param>
    /// <param name="cancellationToken">Gives up; then there is no point, unless the last step was under way.</param>
    /// <exception cref="InvalidOperationException">A claimed chunk was never added, or the session has been committed before.</exception>
    /// <exception cref="QuenchException">A put failed, or a garbage collection has revoked the session (VAULT-031).</exception>
    public async Task<RecoveryPoint> CommitAsync(PointDraft draft, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _committing, 1) == 1)
        {
            throw new InvalidOperationException("a session makes one recovery point");
        }

        _packs.ThrowIfFailed();
        if (_claims.Outstanding is > 0 and long missing)
        {
            throw new InvalidOperationException($"{missing} claimed chunks were never added");
        }

        RecoveryPoint point = PointCodec.Complete(draft, NewId(), Id, _clock.GetUtcNow(), _previous, _generation);
        await _packs.FinishAsync(cancellationToken);
        string name = ObjectNames.Point(point.Id);
        byte[] manifest = _keys.SealEnvelope(EnvelopeKind.Point, name, PointCodec.Write(point));
        await _packs.PutAsync(name, manifest, cancellationToken);
        await _packs.PutAsync(RootCopies.CopyOf(name), manifest, cancellationToken);
        await PutCommitKeyAsync(point, manifest, cancellationToken);
        return point;
    }

    /// <summary>
    /// Asks whether a garbage collection has revoked the session: then what it relied on may be gone, and a failure to read it is no damage. It reads one
    /// small object; that it throws nothing promises nothing for the next moment.
    /// </summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">VAULT-031: it is revoked. Begin again with a new one.</exception>
    public async Task ThrowIfRevokedAsync(CancellationToken cancellationToken)
    {
        string name = ObjectNames.Commit(Id);
        byte[]? present = await _store.GetAsync(name, cancellationToken) ?? await _store.GetAsync(RootCopies.CopyOf(name), cancellationToken);
        if (IsRevocation(name, present))
        {
            throw VaultErrors.Revoked(Id);
        }
    }

    /// <summary>Waits for what is on its way, gives it up if the session was not committed, and frees its memory.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            _disposed = true;
            await StopImagesAsync();
            await _packs.DisposeAsync();
        }
    }

    /// <summary>The id of a map page.</summary>
    internal ChunkId IdentifyPage(int level, ReadOnlySpan<byte> page) => _keys.Identify(ChunkMeta.PageTypeOf(level), page);

    /// <summary>16 random bytes, as every id but a chunk's is.</summary>
    internal static Guid NewId()
    {
        Span<byte> random = stackalloc byte[16];
        RandomNumberGenerator.Fill(random);
        return new Guid(random);
    }

    private void CheckLength(int length)
    {
        if (length <= 0 || length > _chunkSize)
        {
            throw new ArgumentException($"a chunk has 1 to {_chunkSize} bytes, not {length}");
        }
    }

    /// <summary>Chunks that a durable index object names are known from now on, and claimed no more.</summary>
    private async Task IndexedAsync(string name, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        await _takeIndexed(name, body, cancellationToken);
        Release(new IndexBody(body.Span));
    }

    private void Release(IndexBody index)
    {
        for (int i = 0; i < index.EntryCount; i++)
        {
            _claims.Release(ChunkId.From(index.Id(i)));
        }
    }

    /// <summary>The commit point: of all that try to decide what becomes of this session, one succeeds. (§10.2)</summary>
    private async Task PutCommitKeyAsync(RecoveryPoint point, byte[] manifest, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Commit(Id);
        byte[] body = CommitBody.Write(
            Verdict.Committed, _clock.GetUtcNow().ToUnixTimeMilliseconds(), point.Id, SHA256.HashData(manifest), _generation);
        byte[] commit = _keys.SealEnvelope(EnvelopeKind.Commit, name, body);
        if (!await RootCopies.TryPutPrimaryAsync(_store, name, commit, cancellationToken))
        {
            byte[]? present = await _store.GetAsync(name, cancellationToken) ?? await _store.GetAsync(RootCopies.CopyOf(name), cancellationToken);
            if (present is null || !present.AsSpan().SequenceEqual(commit))
            {
                throw WhoseCommit(name, present);
            }

            await _store.PutAsync(name, commit, cancellationToken); // ours, from a try whose answer was lost: now durable for certain
        }

        _packs.Count(commit.Length);
        if (await RootCopies.TryPutCopyAsync(_store, name, commit)) // the point exists, with or without
        {
            _packs.Count(commit.Length);
        }
    }

    private QuenchException WhoseCommit(string name, byte[]? present) =>
        IsRevocation(name, present) ? VaultErrors.Revoked(Id) : VaultErrors.NotOurCommit(Id);

    private bool IsRevocation(string name, byte[]? present) =>
        present is not null && _keys.TryOpenEnvelope(EnvelopeKind.Commit, name, present) is { } body
        && CommitBody.TryRead(body, out CommitBody commit) && commit.Verdict == Verdict.Revoked;
}

/// <summary>What a session begins with.</summary>
internal sealed record SessionStart(
    IObjectStore Store,
    VaultKeys Keys,
    TimeProvider Clock,
    SessionKey Session,
    IChunkIndex Known,
    IReadOnlyList<Guid> Previous,
    long Generation,
    int ChunkSize,
    int PackTarget,
    int RegisteredBytes,
    Func<string, ReadOnlyMemory<byte>, CancellationToken, Task> TakeIndexed,
    SessionBeginning Begun)
{
    /// <summary>What each pack gets. (§6.5)</summary>
    internal ParitySettings Parity { get; init; }
}
