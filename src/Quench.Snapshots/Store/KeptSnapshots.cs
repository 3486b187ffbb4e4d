using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Loop;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Filter.Supervision;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Store;

/// <summary>
/// The persistent snapshots of one attached volume, as its worker has them: the store, the catalogue, what is exposed, and the gate that all writes
/// of the volume go through.
/// </summary>
/// <remarks>Thread-safe. A write calls <see cref="BeginWrite"/> before it touches the origin and <see cref="EndWrite"/> afterwards; everything else
/// is for people and goes through one lock.</remarks>
internal sealed partial class KeptSnapshots : IDisposable
{
    private const int BlockSize = 4096;
    private const string FilePrefix = "kept-"; // of the files that show snapshots

    private static readonly TimeSpan s_drainLimit = TimeSpan.FromSeconds(5);

    private readonly WriteGate _gate = new();
    private readonly FilterDirectory _run;
    private readonly StoreDirectory _directory;
    private readonly Disk _origin;
    private readonly TimeProvider _clock;
    private readonly Action<Exception> _report;
    private readonly Lock _control = new();                   // guards all below but the store, which writers look at without it
    private readonly Dictionary<uint, Exposure> _exposed = []; // by number
    private Board? _board;                                    // set once, before the first write
    private Catalogue _catalogue = new();
    private QuenchException? _trouble;                        // why nothing can be done with snapshots here
    private uint _making;                                     // the number that is being made; 0 when none is
    private Timer? _gateTimer;                                // not null: the gate is closed, and this opens it in time
    private int _openFiles;                                   // files that conversations read snapshots through
    private volatile SnapshotStore? _store;                   // changes only while no write is in flight

    private KeptSnapshots(FilterDirectory run, Disk origin, TimeProvider clock, Action<Exception> report)
    {
        _report = report;
        _run = run;
        _directory = StoreDirectory.For(run.Name);
        _origin = origin;
        _clock = clock;
    }

    private sealed record Exposure(string FileName, string Device);

    /// <summary>Takes up what the last attachment, or a worker that died a moment ago, left. Nobody writes to the volume yet.</summary>
    /// <param name="run">The attachment's folder.</param>
    /// <param name="origin">Opened; lent for as long as this lives.</param>
    /// <param name="clock">For instants and rates.</param>
    /// <param name="report">Told when snapshots are lost.</param>
    internal static KeptSnapshots Open(FilterDirectory run, Disk origin, TimeProvider clock, Action<Exception> report)
    {
        KeptSnapshots kept = new(run, origin, clock, report);
        try
        {
            kept._catalogue = Catalogue.Read(kept._directory.Catalogue);
            if (kept._catalogue.Store is { } place && kept.TakeUp(place) is { } lost)
            {
                kept.Lose(place, lost);
                report(new IOException($"the persistent snapshots of {run.Name} are lost: {lost}"));
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException or QuenchException)
        {
            kept._trouble = StoreErrors.CatalogueDamaged(kept._directory.Catalogue, failure);
            report(kept._trouble);
        }

        return kept;
    }

    /// <summary>Told when a write is held on purpose. Set before the first write.</summary>
    internal Board Watch
    {
        set
        {
            _board = value;
            _gate.Watch = value;
            _store?.Watch = value;
        }
    }

    /// <summary>Before a write touches the origin: waits at the gate, then keeps what snapshots need of the range. Never fails.</summary>
    internal void BeginWrite(Extent range)
    {
        _gate.Enter();
        _store?.BeforeWrite(range);
    }

    /// <summary>The write has landed or failed.</summary>
    internal void EndWrite() => _gate.Leave();

    /// <summary>Refuses a detach while somebody may be reading a snapshot.</summary>
    /// <exception cref="QuenchException">SNAP-132, SNAP-163, SNAP-167.</exception>
    internal void DemandDetachable()
    {
        lock (_control)
        {
            DemandIdle();
            foreach ((uint number, Exposure exposure) in _exposed)
            {
                throw StoreErrors.Exposed(_run.Name, number, exposure.Device);
            }
        }
    }

    /// <summary>Refuses what would end a snapshot that is being made, or cut off somebody who reads one.</summary>
    /// <exception cref="QuenchException">SNAP-132, SNAP-163.</exception>
    internal void DemandIdle()
    {
        lock (_control)
        {
            if (_openFiles > 0)
            {
                throw StoreErrors.BeingRead(_run.Name);
            }

            if (_making != 0)
            {
                throw StoreErrors.Busy(_run.Name);
            }
        }
    }

    /// <summary>Shows again what the worker before this one had exposed: the kernel has those files open, by their nodes.</summary>
    /// <param name="session">The volume's connection, not started yet.</param>
    internal void TakeOverExposed(FuseSession session)
    {
        lock (_control)
        {
            foreach (Exposure exposure in Exposures(_run))
            {
                string[] words = exposure.FileName[FilePrefix.Length..].Split('-');
                if (_store is { } store && words.Length == 2 && uint.TryParse(words[0], CultureInfo.InvariantCulture, out uint number)
                    && ulong.TryParse(words[1], CultureInfo.InvariantCulture, out ulong node))
                {
                    session.Add(exposure.FileName, new StoredSnapshotFile(store, number, _origin.Geometry.SectorSize), node);
                    _exposed.Add(number, exposure);
                }
            }
        }
    }

    /// <summary>
    /// The volume is about to be written without its snapshots knowing: what they kept is no longer enough, and whoever takes up the store next must find that out.
    /// </summary>
    internal static void GiveUp(FilterDirectory run, Action<Exception> report)
    {
        string table = StoreDirectory.MappedTable(run);
        if (File.Exists(table))
        {
            try
            {
                StoreFiles.Strike(table);
                StoreFiles.Remove(StoreDirectory.MappedRing(run));
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                report(failure); // the volume must go on
            }

            report(new IOException($"the persistent snapshots of {run.Name} are lost: the volume goes on without its engine, so blocks are overwritten that were not kept"));
        }
    }

    /// <summary>
    /// After the last write, with the origin flushed: makes the store durable, so that the next attachment finds it. If that fails, the next
    /// attachment says that the snapshots are lost; the volume's own detach must not fail for it.
    /// </summary>
    internal async Task CloseAsync()
    {
        if (_store is not { } store || _catalogue.Store is not { } place)
        {
            return;
        }

        try
        {
            store.Flush();
            store.Dispose();
            _store = null;
            await OriginLook.LetClockTickAsync(_origin.Path, _clock);
            Seal(_run, _directory, _catalogue, place, OriginLook.At(_origin.Path, _origin.Geometry.Length));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            _report(failure);
        }
    }

    /// <summary>Lets go of the store as a worker that dies does: what is mapped stays for the next one.</summary>
    public void Dispose()
    {
        _gateTimer?.Dispose();
        _store?.Dispose();
        _store = null;
    }

    /// <summary>Does for a worker that died, and whose device is gone, what it would have done when it was detached.</summary>
    /// <exception cref="QuenchException">SNAP-168: an exposed snapshot is in use; nothing of the volume's other remains should be touched.</exception>
    internal static void CleanUpAfterDead(FilterDirectory run, string origin, long length)
    {
        DetachExposed(run);
        StoreDirectory directory = StoreDirectory.For(run.Name);
        try
        {
            Catalogue catalogue = Catalogue.Read(directory.Catalogue);
            if (catalogue.Store is not { Seal: null } place || !File.Exists(StoreDirectory.MappedTable(run)))
            {
                return;
            }

            if (StoreFiles.TryOpen(StoreDirectory.MappedTable(run), StoreDirectory.MappedRing(run), directory.Blocks(place.Folder), isResumed: true) is not { } files)
            {
                return;
            }

            using (files)
            using (files.Blocks)
            {
                files.Blocks.Drain(slot => files.Table.TryRead(slot, out _, out _));
                files.Blocks.Flush();
            }

            Seal(run, directory, catalogue, place, OriginLook.At(origin, length));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            // No seal, no belief: the next attachment says that they are lost.
        }
    }

    /// <summary>Takes away the devices that a dead worker had exposed: it alone knew their names, but the kernel knows what they stand on.</summary>
    internal static void DetachExposed(FilterDirectory run)
    {
        foreach (Exposure exposure in Exposures(run))
        {
            if (!LoopDevice.TryDetach(exposure.Device))
            {
                throw StoreErrors.InUse(run.Name, exposure.Device);
            }
        }
    }

    /// <summary>What the kernel shows of snapshots as block devices.</summary>
    private static IEnumerable<Exposure> Exposures(FilterDirectory run)
    {
        string prefix = Path.Combine(run.Mount, FilePrefix);
        foreach (string entry in Directory.EnumerateDirectories("/sys/block", "loop*"))
        {
            string backing = Path.Combine(entry, "loop/backing_file");
            if (File.Exists(backing) && File.ReadAllText(backing).Trim() is { } path && path.StartsWith(prefix, StringComparison.Ordinal))
            {
                yield return new Exposure(Path.GetFileName(path), "/dev/" + Path.GetFileName(entry));
            }
        }
    }

    /// <summary>Writes the table beside the data and the seal into the catalogue, which makes it count.</summary>
    private static void Seal(FilterDirectory run, StoreDirectory directory, Catalogue catalogue, StorePlace place, OriginFacts facts)
    {
        string mapped = StoreDirectory.MappedTable(run);
        uint checksum = StoreFiles.CopyTable(mapped, directory.SealedTable(place.Folder));
        (catalogue with { Store = place with { Seal = new StoreSeal(checksum, facts.Length, facts.Identity, facts.Stamp) } }).Write(directory.Catalogue);
        File.Delete(mapped);
        File.Delete(StoreDirectory.MappedRing(run));
    }

    /// <summary>Opens the store. Returns why it can't be believed; null when it is.</summary>
    private string? TakeUp(StorePlace place)
    {
        string mapped = StoreDirectory.MappedTable(_run);
        bool isResumed = place.Seal is null && place.BootId == OriginLook.BootId() && File.Exists(_run.State);
        if (!isResumed && Unseal(place, mapped) is { } reason)
        {
            return reason;
        }

        StoreFiles? files = StoreFiles.TryOpen(mapped, StoreDirectory.MappedRing(_run), _directory.Blocks(place.Folder), isResumed);
        if (files?.Table.Geometry is not { } geometry || geometry.Id != place.Id || geometry.VolumeLength != _origin.Geometry.Length)
        {
            files?.Dispose();
            files?.Blocks.Dispose();
            return $"the files of its store in {place.Folder} are not there, or not those that belong to it";
        }

        _store = new SnapshotStore(_origin, files, _clock, _report);
        if (!isResumed)
        {
            // From now on only the mapped table counts: a power cut must not bring the sealed one back.
            _catalogue = _catalogue with { Store = place with { Seal = null, BootId = OriginLook.BootId() } };
            _catalogue.Write(_directory.Catalogue);
            File.Delete(_directory.SealedTable(place.Folder));
        }

        return null;
    }

    private string? Unseal(StorePlace place, string mapped)
    {
        if (place.Seal is not { } seal)
        {
            return "the volume was not detached in order: the machine stopped, or its worker died, while it was attached";
        }

        OriginFacts now = OriginLook.At(_origin.Path, _origin.Geometry.Length);
        if (seal.Length != now.Length || now.Identity is null || seal.Identity != now.Identity)
        {
            return "another origin is attached under this name, or one of another size";
        }

        if (string.IsNullOrEmpty(seal.Stamp) || seal.Stamp != now.Stamp)
        {
            return "the origin was written while it was detached, or the machine was started anew, or this can't be told of it";
        }

        string sealedTable = _directory.SealedTable(place.Folder);
        return File.Exists(sealedTable) && StoreFiles.CopyTable(sealedTable, mapped) == seal.Checksum
            ? null
            : $"{sealedTable} is damaged or not there";
    }

    private void Lose(StorePlace place, string reason)
    {
        _catalogue = _catalogue with { Store = null, Snapshots = [.. _catalogue.Snapshots.Select(entry => entry with { Lost = entry.Lost ?? reason })] };
        _catalogue.Write(_directory.Catalogue);
        RemoveFiles(place.Folder);
    }

    private void RemoveFiles(string folder) =>
        StoreFiles.Remove(StoreDirectory.MappedTable(_run), StoreDirectory.MappedRing(_run), _directory.Blocks(folder), _directory.SealedTable(folder));
}
