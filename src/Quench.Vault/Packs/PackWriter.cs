using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using Quench.Blocks.Buffers;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Parity;
using Quench.Vault.Stores;

namespace Quench.Vault.Packs;

/// <summary>
/// Fills packs, verifies each in memory, stores them in the background, and writes the index objects that name them. Thread-safe.
/// The first failure is kept and thrown by every later call. (§6.3, §6.4, §8)
/// </summary>
internal sealed class PackWriter : IAsyncDisposable
{
    private const int OpenPacks = 4;
    private const int MaxInFlight = 2;
    private const int EntriesPerIndex = 64 * 1024;

    private readonly IObjectStore _store;
    private readonly VaultKeys _keys;
    private readonly SessionKey _session;
    private readonly int _target;
    private readonly long _generation;
    private readonly Func<string, ReadOnlyMemory<byte>, CancellationToken, Task> _indexed;
    private readonly ParityPutter _parity;
    private readonly AlignedBufferPool _buffers;
    private readonly SemaphoreSlim _inFlight = new(MaxInFlight, MaxInFlight);
    private readonly CancellationTokenSource _abandoned = new();

    private readonly Lock _gate = new(); // guards all below
    private readonly PackBuilder?[] _open = new PackBuilder?[OpenPacks];
    private readonly List<Task> _storing = []; // never fail: what went wrong is in _failure
    private List<StoredPack> _unindexed = []; // durable, and in no index object yet
    private int _unindexedEntries;
    private ExceptionDispatchInfo? _failure;
    private long _storedBytes;
    private long _storedObjects;

    /// <summary>A writer for one session.</summary>
    /// <param name="store">Where packs and index objects go.</param>
    /// <param name="keys">The vault's keys.</param>
    /// <param name="session">The session's key.</param>
    /// <param name="packTarget">Bytes of a full pack.</param>
    /// <param name="generation">What the session had seen of garbage collections.</param>
    /// <param name="indexed">Told of each index object once it is durable: its name and its body.</param>
    /// <param name="parity">What each pack gets. (§6.5)</param>
    internal PackWriter(
        IObjectStore store, VaultKeys keys, SessionKey session, int packTarget, long generation,
        Func<string, ReadOnlyMemory<byte>, CancellationToken, Task> indexed, ParitySettings parity)
    {
        _parity = new ParityPutter(store, parity);
        _indexed = indexed;
        _store = store;
        _keys = keys;
        _session = session;
        _target = packTarget;
        _generation = generation;
        _buffers = new AlignedBufferPool(SizeClass.Of(packTarget), OpenPacks + MaxInFlight);
    }

    /// <summary>Bytes and number of the objects put so far.</summary>
    internal (long Bytes, long Objects) Stored
    {
        get
        {
            lock (_gate)
            {
                return (_storedBytes, _storedObjects);
            }
        }
    }

    /// <summary>Takes a sealed chunk; waits while too many packs are on their way.</summary>
    internal ValueTask AddAsync(SealedChunk chunk, CancellationToken cancellationToken)
    {
        PackBuilder? full;
        using (chunk)
        {
            full = Place(chunk);
        }

        return full is null ? ValueTask.CompletedTask : new ValueTask(SendAsync(full, cancellationToken));
    }

    /// <summary>Stores what is still open, waits for all packs, and writes the last index object. All is durable then.</summary>
    internal async Task FinishAsync(CancellationToken cancellationToken)
    {
        Queue<PackBuilder> packs = new(TakeOpenMerged());
        try
        {
            while (packs.TryDequeue(out PackBuilder? pack))
            {
                await SendAsync(pack, cancellationToken);
            }
        }
        finally
        {
            foreach (PackBuilder unsent in packs)
            {
                unsent.Dispose();
            }
        }

        await Task.WhenAll(Storing()).WaitAsync(cancellationToken);
        ThrowIfFailed();
        await WriteIndexAsync(leaveAtMost: 0, cancellationToken);
    }

    /// <summary>Puts an object of this session, counting it. A failure is kept.</summary>
    internal async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ThrowIfFailed();
        try
        {
            await _store.PutAsync(name, content, cancellationToken);
        }
        catch (Exception failure)
        {
            Keep(failure);
            throw;
        }

        Count(content.Length);
    }

    /// <summary>Counts an object that somebody else has put for this session.</summary>
    internal void Count(int bytes)
    {
        lock (_gate)
        {
            _storedBytes += bytes;
            _storedObjects++;
        }
    }

    /// <summary>Throws the first failure, if there has been one.</summary>
    internal void ThrowIfFailed()
    {
        ExceptionDispatchInfo? failure;
        lock (_gate)
        {
            failure = _failure;
        }

        failure?.Throw();
    }

    /// <summary>Gives up what is on its way, waits for it, and returns the memory.</summary>
    public async ValueTask DisposeAsync()
    {
        await _abandoned.CancelAsync();
        await Task.WhenAll(Storing());
        lock (_gate)
        {
            foreach (PackBuilder? pack in _open)
            {
                pack?.Dispose();
            }

            Array.Clear(_open);
        }

        _buffers.Dispose();
        _inFlight.Dispose();
        _abandoned.Dispose();
    }

    /// <summary>Copies a chunk into one of the open packs.</summary>
    /// <returns>The pack that it did not fit any more, now the caller's to send; null most of the time.</returns>
    private PackBuilder? Place(SealedChunk chunk)
    {
        lock (_gate)
        {
            _failure?.Throw();
            int slot = RandomNumberGenerator.GetInt32(OpenPacks);
            PackBuilder pack = _open[slot] ??= new PackBuilder(_buffers.Rent(), _target);
            if (pack.TryAdd(chunk.Id, chunk.Sealed, chunk.Meta, chunk.Checksum))
            {
                return null;
            }

            _open[slot] = new PackBuilder(_buffers.Rent(), _target);
            return _open[slot]!.TryAdd(chunk.Id, chunk.Sealed, chunk.Meta, chunk.Checksum)
                ? pack
                : throw new InvalidOperationException("an empty pack holds at least one chunk");
        }
    }

    /// <summary>Takes the open packs, merged while two fit into one.</summary>
    private List<PackBuilder> TakeOpenMerged()
    {
        List<PackBuilder> merged = [];
        lock (_gate)
        {
            foreach (PackBuilder pack in _open.OfType<PackBuilder>())
            {
                if (merged.Exists(other => other.TryAppend(pack)))
                {
                    pack.Dispose();
                }
                else
                {
                    merged.Add(pack);
                }
            }

            Array.Clear(_open);
        }

        return merged;
    }

    /// <summary>Starts storing a pack as soon as there is room for one more on its way.</summary>
    private async Task SendAsync(PackBuilder pack, CancellationToken cancellationToken)
    {
        try
        {
            await _inFlight.WaitAsync(cancellationToken);
        }
        catch (Exception failure)
        {
            pack.Dispose();
            Keep(failure); // chunks that were claimed are gone with this pack
            throw;
        }

        lock (_gate)
        {
            _storing.RemoveAll(done => done.IsCompleted);
            _storing.Add(Task.Run(() => StoreAsync(pack), CancellationToken.None));
        }
    }

    private async Task StoreAsync(PackBuilder pack)
    {
        try
        {
            ThrowIfFailed();
            Guid id = BackupSession.NewId();
            ReadOnlyMemory<byte> bytes = pack.Finish(id, _session);
            Verify(id, bytes.Span, pack);
            await _store.PutAsync(ObjectNames.Pack(id), bytes, _abandoned.Token);
            Count(bytes.Length);
            if (!_parity.Settings.IsNone)
            {
                Count(await _parity.PutAsync(id, _session.VaultId, bytes, _abandoned.Token)); // before the index object that names the pack
            }

            lock (_gate)
            {
                _unindexed.Add(new StoredPack(id, bytes.Length, [.. pack.Entries]));
                _unindexedEntries += pack.Entries.Count;
            }

            await WriteIndexAsync(EntriesPerIndex, _abandoned.Token);
        }
        catch (Exception failure)
        {
            Keep(failure);
        }
        finally
        {
            pack.Dispose();
            _inFlight.Release();
        }
    }

    /// <summary>
    /// Opens the directory and holds every chunk in the finished pack against the checksum that its sealer took of it when it had opened it:
    /// what memory has done to it since is found here, while the data are still there. (§6.4)
    /// </summary>
    private void Verify(Guid id, ReadOnlySpan<byte> bytes, PackBuilder pack)
    {
        string name = ObjectNames.Pack(id);
        PackContents contents = PackReader.TryRead(_keys, id, bytes) ?? throw VaultErrors.BadPack(name, "its directory does not open");
        if (!contents.Entries.AsSpan().SequenceEqual(pack.Entries.ToArray()))
        {
            throw VaultErrors.BadPack(name, "its directory has changed");
        }

        if (pack.FindChanged() is { } changed)
        {
            throw VaultErrors.BadPack(name, $"chunk {changed}");
        }
    }

    /// <summary>Writes an index object of the packs that are in none yet, if they hold more entries than may be left.</summary>
    private async Task WriteIndexAsync(int leaveAtMost, CancellationToken cancellationToken)
    {
        List<StoredPack> packs;
        int entries;
        lock (_gate)
        {
            if (_unindexedEntries <= leaveAtMost)
            {
                return;
            }

            (packs, entries) = (_unindexed, _unindexedEntries);
            (_unindexed, _unindexedEntries) = ([], 0);
        }

        string name = ObjectNames.Index(BackupSession.NewId());
        byte[] body = IndexOf(packs, entries);
        await PutAsync(name, _keys.SealEnvelope(EnvelopeKind.Index, name, body), cancellationToken);
        await _indexed(name, body, cancellationToken);
    }

    private byte[] IndexOf(List<StoredPack> packs, int entries)
    {
        IndexBodyBuilder body = new(_session, packs.Count, entries, _generation);
        packs.ForEach(pack => body.Add(pack.Id, pack.Length, pack.Entries));
        return body.Bytes;
    }

    private Task[] Storing()
    {
        lock (_gate)
        {
            return [.. _storing];
        }
    }

    private void Keep(Exception failure)
    {
        lock (_gate)
        {
            _failure ??= ExceptionDispatchInfo.Capture(failure);
        }
    }

    private sealed record StoredPack(Guid Id, int Length, PackEntry[] Entries);
}
