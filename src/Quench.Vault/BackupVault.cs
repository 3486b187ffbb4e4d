using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Points;
using Quench.Vault.Stores;

namespace Quench.Vault;

/// <summary>
/// An open vault: recovery points to list, read and verify, and sessions that add more. Any number may be open on one store at once, in any
/// number of processes. All methods may be called from any thread.
/// </summary>
/// <remarks>Disposing wipes the keys and closes the store. Images and sessions must be disposed before.</remarks>
public sealed partial class BackupVault : IAsyncDisposable
{
    private readonly IObjectStore _store;
    private readonly VaultKeys _keys;
    private readonly TimeProvider _clock;
    private readonly VaultOpening _opening;
    private readonly VaultIndex _index;
    private readonly PointCatalog _catalog;
    private readonly ChunkOpenerPool _openers = new();
    private readonly ChunkReader _chunks;
    private bool _disposed;

    private BackupVault(IObjectStore store, VaultOpening opening, TimeProvider clock)
    {
        _store = store;
        _keys = opening.Keys;
        _opening = opening;
        _clock = clock;
        _index = new VaultIndex(store, _keys);
        _catalog = new PointCatalog(store, _keys);
        _chunks = new ChunkReader(store, _keys, _index, _openers);
        Info = new VaultInfo(_keys.VaultId, opening.ChunkSize, opening.Version, opening.Created) { Parity = opening.Parity };
    }

    /// <summary>The vault's facts.</summary>
    public VaultInfo Info { get; }

    /// <summary>Makes a vault in an empty store. It exists from the moment the task completes.</summary>
    /// <param name="store">Where; owned by the vault once the task has succeeded.</param>
    /// <param name="settings">What is chosen once.</param>
    /// <param name="password">The first way in; borrowed.</param>
    /// <param name="clock">The time of creation comes from it.</param>
    /// <param name="cancellationToken">Leaves remains that hold nothing of the user's.</param>
    /// <exception cref="QuenchException">
    /// The store is a vault already (VAULT-011), holds other files (VAULT-012), or can't be written; or a setting is refused (VAULT-013).
    /// </exception>
    public static Task<CreatedVault> CreateAsync(
        IObjectStore store, VaultSettings settings, ReadOnlyMemory<byte> password, TimeProvider clock, CancellationToken cancellationToken) =>
        CreateAsync(store, settings, password, clock, KdfCost.Floor, cancellationToken);

    /// <summary>Opens a vault. Writes nothing.</summary>
    /// <param name="store">Where; owned by the vault once the task has succeeded.</param>
    /// <param name="passwordOrRecoveryCode">Either, as UTF-8; borrowed.</param>
    /// <param name="clock">Sessions take their times from it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">
    /// Not a vault (VAULT-001, exit code 10), wrong password (VAULT-002, exit code 12), a newer version (VAULT-003), features that this program does
    /// not know (VAULT-004), damaged (VAULT-005), key slots that ask for too much memory (VAULT-006).
    /// </exception>
    public static async Task<BackupVault> OpenAsync(
        IObjectStore store, ReadOnlyMemory<byte> passwordOrRecoveryCode, TimeProvider clock, CancellationToken cancellationToken) =>
        new(store, await VaultOpening.OpenAsync(store, passwordOrRecoveryCode, cancellationToken), clock);

    /// <summary>The committed recovery points, oldest first. One whose manifest is damaged is listed with <see cref="RecoveryPoint.Damage"/> set.</summary>
    public async Task<IReadOnlyList<RecoveryPoint>> ListPointsAsync(CancellationToken cancellationToken) =>
        (await _catalog.ReadAsync(cancellationToken)).Points;

    /// <summary>Finds a committed point.</summary>
    /// <param name="idPrefixOrLatest">The first digits of its id, at least one; or "latest".</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The point; null when there is none.</returns>
    /// <exception cref="QuenchException">More than one begins so (VAULT-021), or the one that does is damaged (VAULT-022).</exception>
    public async Task<RecoveryPoint?> FindPointAsync(string idPrefixOrLatest, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(idPrefixOrLatest);
        IReadOnlyList<RecoveryPoint> points = await ListPointsAsync(cancellationToken);
        bool latest = idPrefixOrLatest == "latest";
        List<RecoveryPoint> found = latest
            ? [.. points.TakeLast(1), .. points.Where(point => point.Instant == DateTimeOffset.MinValue && point.Damage is not null)]
            : [.. points.Where(point => point.Id.ToString("N").StartsWith(idPrefixOrLatest, StringComparison.OrdinalIgnoreCase))];

        // A damaged point of unknown age may be the latest: then nobody can say which one is.
        if (found.Find(point => point.Damage is not null) is { } damaged)
        {
            throw VaultErrors.DamagedPoint(latest ? "latest" : damaged.ShortId, damaged.Damage!);
        }

        return found.Count > 1 ? throw VaultErrors.AmbiguousPoint(idPrefixOrLatest, found.Count) : found.FirstOrDefault();
    }

    /// <summary>Begins to add a recovery point: registers the session in the store, then reads what the vault already has.</summary>
    /// <param name="host">The machine whose volumes will be imaged.</param>
    /// <param name="cancellationToken">Gives up; an abandoned session hurts nobody.</param>
    /// <returns>The session; the caller disposes it, committed or not.</returns>
    /// <exception cref="QuenchException">The vault has features that a writer must know and this program does not (VAULT-004), or the store failed.</exception>
    public async Task<BackupSession> BeginAsync(string host, CancellationToken cancellationToken)
    {
        _opening.CheckWritable(_store.Location);
        SessionKey session = _keys.NewSession(BackupSession.NewId());
        int registered = await RegisterAsync(session, host, cancellationToken);

        ChunkIndex known = await _index.RefreshAsync(cancellationToken);
        if (_index.DamagedCollection is { } damaged)
        {
            throw VaultErrors.DamagedCollection(damaged);
        }

        bool settled = await IsSettledAsync(_index.Generation, cancellationToken); // before the points: §10.5
        PointListing points = await _catalog.ReadAsync(cancellationToken);
        return new BackupSession(new SessionStart(
            _store, _keys, _clock, session, known, points.Heads(), _index.Generation, Info.ChunkSize, _opening.PackTarget, registered,
            (name, body, token) => _index.TakeOwnAsync(known, name, body, session, token),
            new SessionBeginning(_chunks, points, settled)) { Parity = _opening.Parity });
    }

    /// <summary>Opens the image of a volume of a recovery point. Its geometry is the volume's; disposing it leaves the vault open.</summary>
    /// <remarks>
    /// Any range may be read, aligned or not. Every byte that a read returns has been authenticated and its chunk's id computed again; a chunk that is missing,
    /// damaged or forged is a <see cref="QuenchException"/> (VAULT-041) that names the chunk, the volume's offset and the pack.
    /// </remarks>
    public IBlockReader OpenImage(VolumeRecord volume) => new ImageReader(_chunks, volume, Info.ChunkSize);

    /// <summary>Verifies a point, or the whole vault. Damage is an answer, not an exception.</summary>
    /// <param name="point">The point; null for all points and everything else in the vault.</param>
    /// <param name="level">How deep to look.</param>
    /// <param name="progress">Told now and then, from any thread; null when nobody wants to know.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<VerifyReport> VerifyAsync(
        RecoveryPoint? point, VerifyLevel level, IProgress<VerifyProgress>? progress, CancellationToken cancellationToken) =>
        VerifyAsync(new VerifyRequest { Point = point, Level = level }, progress, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            _disposed = true;
            _openers.Dispose();
            _index.Dispose();
            _keys.Dispose();
            await _store.DisposeAsync();
        }
    }

    /// <summary>As above, with another floor for the cost of a guess: tests have no time for the real one.</summary>
    internal static async Task<CreatedVault> CreateAsync(
        IObjectStore store, VaultSettings settings, ReadOnlyMemory<byte> password, TimeProvider clock, KdfCost floor, CancellationToken cancellationToken)
    {
        SecretBytes code = await VaultCreation.RunAsync(store, settings, password, clock, floor, cancellationToken);

        // Opened with the code and from what has been stored: both are proved before anybody relies on them.
        return new CreatedVault(await OpenAsync(store, code.Memory, clock, cancellationToken), code);
    }

    private async Task<int> RegisterAsync(SessionKey session, string host, CancellationToken cancellationToken)
    {
        long generation = 0;
        await foreach (StoredObject found in _store.ListAsync(ObjectNames.Collections, cancellationToken))
        {
            generation = ObjectNames.TryParseNumber(found.Name, ObjectNames.Collections, out long number) ? Math.Max(generation, number) : generation;
        }

        string name = ObjectNames.Session(session.SessionId);
        SessionRecord record = new(
            session.SessionId, host, _clock.GetUtcNow(), $"quench {typeof(BackupVault).Assembly.GetName().Version?.ToString(3)}",
            generation, session.Epoch, session.Wrapped);
        byte[] body = System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(record, VaultJson.Default.SessionRecord);
        byte[] bytes = _keys.SealEnvelope(EnvelopeKind.Session, name, body);
        await _store.PutAsync(name, bytes, cancellationToken);
        return bytes.Length;
    }
}
