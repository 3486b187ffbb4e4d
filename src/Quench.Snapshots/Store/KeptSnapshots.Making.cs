using Quench.Blocks;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

// Making a snapshot, in steps, so that several volumes can have one instant: begin, close the gate, take, open the gate, keep. One at a time.
internal sealed partial class KeptSnapshots
{
    private const long SmallestStore = 1L << 20;
    private const int DefaultShare = 10; // a tenth of the volume, as shadow storage takes on Windows

    /// <summary>Begins to make a snapshot: everything that takes time. Ends with <see cref="Keep"/> or <see cref="Abandon"/>.</summary>
    /// <param name="folder">Where the store goes if it has to be made; null for the usual place.</param>
    /// <param name="capBytes">The most it may hold; 0 for a tenth of the volume, but no more than half of what is free.</param>
    /// <returns>The snapshot's number.</returns>
    /// <exception cref="QuenchException">SNAP-163, SNAP-165, SNAP-166, SNAP-169.</exception>
    internal uint Begin(string? folder, long capBytes)
    {
        lock (_control)
        {
            ThrowIfUnusable();
            if (_making != 0)
            {
                throw StoreErrors.Busy(_run.Name);
            }

            if (_catalogue.Store is { } place && (folder is not null || capBytes != 0))
            {
                throw StoreErrors.StoreIsThere(_run.Name, place.Folder);
            }

            if (_store is null)
            {
                MakeStore(folder ?? _directory.Folder, capBytes);
            }

            uint number = _catalogue.Next;
            _catalogue = _catalogue with { Next = checked(number + 1) };
            _catalogue.Write(_directory.Catalogue); // a number that somebody may have seen is never used again
            return _making = number;
        }
    }

    /// <summary>Holds new writes and waits until those in flight have landed. Opens again by itself after the limit, whoever has died.</summary>
    /// <exception cref="QuenchException">SNAP-164: they took too long; the gate is open.</exception>
    internal void CloseGate(TimeSpan limit)
    {
        lock (_control)
        {
            DemandMaking();
            if (_gateTimer is not null || !_gate.TryClose(limit))
            {
                throw StoreErrors.GateLost(_run.Name);
            }

            _gateTimer = new Timer(_ => OpenGate(), null, limit, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Takes the instant. The gate must be closed still.</summary>
    /// <exception cref="QuenchException">SNAP-162, SNAP-164: nothing was taken.</exception>
    internal void Take()
    {
        lock (_control)
        {
            DemandMaking();
            if (_gateTimer is null)
            {
                throw StoreErrors.GateLost(_run.Name);
            }

            if (!_store!.TryAdd(_making))
            {
                throw StoreErrors.TooMany(_run.Name);
            }
        }
    }

    /// <summary>Lets the writes go on. False when the gate was open: it had opened by itself.</summary>
    internal bool OpenGate()
    {
        lock (_control)
        {
            if (_gateTimer is null)
            {
                return false;
            }

            _gateTimer.Dispose();
            _gateTimer = null;
            _gate.Open();
            return true;
        }
    }

    /// <summary>The snapshot shall stay: durable in the catalogue when this returns.</summary>
    /// <param name="wish">What users know it by.</param>
    /// <exception cref="QuenchException">SNAP-161: it had to be dropped before.</exception>
    internal void Keep(StoreRequest wish)
    {
        lock (_control)
        {
            DemandMaking();
            CatalogueEntry entry = new() { Number = _making, Label = wish.Label ?? "", Instant = wish.Instant, Grade = wish.Grade, Id = wish.Id, Set = wish.Set };
            Catalogue longer = _catalogue with { Snapshots = [.. _catalogue.Snapshots, entry] };
            longer.Write(_directory.Catalogue);
            _catalogue = longer;
            if (!_store!.TryKeep(_making))
            {
                Forget(_making);
                throw StoreErrors.Gone(_run.Name, _making, "it was dropped before it was finished");
            }

            _making = 0;
        }
    }

    /// <summary>Gives up the snapshot that is being made, whatever its state. Does nothing when none is. Never fails: nobody is there to be told.</summary>
    internal void Abandon()
    {
        lock (_control)
        {
            OpenGate();
            if (_making != 0)
            {
                _store?.TryDelete(_making);
                _making = 0;
                TryRemoveEmptyStore();
            }
        }
    }

    private void DemandMaking()
    {
        if (_making == 0)
        {
            throw new QuenchException("SNAP-139", "no snapshot is being made");
        }
    }

    private void MakeStore(string folder, long capBytes)
    {
        try
        {
            if (folder == _directory.Folder)
            {
                Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }

            long cap = capBytes > 0 ? capBytes : Math.Max(SmallestStore, Math.Min(_origin.Geometry.Length / DefaultShare, new DriveInfo(folder).AvailableFreeSpace / 2));
            if (cap < SmallestStore || cap / BlockSize > SlotTable.MaxSlots)
            {
                throw StoreErrors.NoStore(_run.Name, $"{ByteSize.Format(cap)} is not between {ByteSize.Format(SmallestStore)} and {ByteSize.Format((long)SlotTable.MaxSlots * BlockSize)}");
            }

            StoreGeometry geometry = new(_origin.Geometry.Length, BlockSize, (int)(cap / BlockSize), Guid.NewGuid());
            StorePlace place = new(geometry.Id, folder, OriginLook.BootId(), null);
            (_catalogue with { Store = place }).Write(_directory.Catalogue); // first, so that files without an owner are found again
            _catalogue = _catalogue with { Store = place };
            StoreFiles files = StoreFiles.Create(StoreDirectory.MappedTable(_run), StoreDirectory.MappedRing(_run), _directory.Blocks(folder), geometry);
            _store = new SnapshotStore(_origin, files, _clock, _report) { Watch = _board };
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            DropStoreFromCatalogue();
            throw StoreErrors.NoStore(_run.Name, failure.Message, failure);
        }
    }

    /// <summary>Takes the store away when no snapshot needs it any more. If the writes in flight don't land in time, it stays for now.</summary>
    private void RemoveStoreIfEmpty()
    {
        if (_store is not { } store || _making != 0 || store.Records().Length > 0 || !_gate.TryClose(s_drainLimit))
        {
            return;
        }

        _store = null;
        _gate.Open();
        store.Dispose();
        string folder = _catalogue.Store!.Folder;
        DropStoreFromCatalogue();
        RemoveFiles(folder);
    }

    private void TryRemoveEmptyStore()
    {
        try
        {
            RemoveStoreIfEmpty();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            _report(failure);
        }
    }

    private void DropStoreFromCatalogue()
    {
        _catalogue = _catalogue with { Store = null };
        _catalogue.Write(_directory.Catalogue);
    }

    private void Forget(uint number)
    {
        _catalogue = _catalogue with { Snapshots = [.. _catalogue.Snapshots.Where(entry => entry.Number != number)] };
        _catalogue.Write(_directory.Catalogue);
    }
}
