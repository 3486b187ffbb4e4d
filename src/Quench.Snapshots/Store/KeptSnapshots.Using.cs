using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;
using Quench.Interop.Loop;

namespace Quench.Snapshots.Store;

// Listing, reading, exposing and deleting.
internal sealed partial class KeptSnapshots
{
    private const int SmallestSector = 512; // of a loop device

    /// <summary>What the catalogue and the store know together.</summary>
    /// <param name="measured">Count what each snapshot holds, which looks at every slot.</param>
    internal StoreReply List(bool measured)
    {
        lock (_control)
        {
            ThrowIfUnusable();
            Dictionary<uint, SnapshotRecord> records = _store?.Records().ToDictionary(record => record.Number) ?? [];
            Dictionary<uint, HeldVersions> sizes = measured && _store is not null ? _store.Measure() : [];
            StoreUsage usage = _store?.Usage() ?? default;
            return new StoreReply
            {
                Folder = _catalogue.Store?.Folder,
                UsedBytes = usage.UsedBytes,
                CapBytes = usage.CapBytes,
                BytesPerSecond = usage.BytesPerSecond,
                Snapshots = [.. _catalogue.Snapshots.Select(entry => Describe(entry, records, sizes))],
            };
        }
    }

    /// <summary>Takes a snapshot off the list, and lets go of what it kept.</summary>
    /// <exception cref="QuenchException">SNAP-160, SNAP-167.</exception>
    internal void Delete(uint number)
    {
        lock (_control)
        {
            ThrowIfUnusable();
            Entry(number);
            if (_exposed.TryGetValue(number, out Exposure? exposure))
            {
                throw StoreErrors.Exposed(_run.Name, number, exposure.Device);
            }

            Forget(number);
            _store?.TryDelete(number);
            RemoveStoreIfEmpty();
        }
    }

    /// <summary>Shows a snapshot as a file. Returns the file's name, which tells its node, and its path.</summary>
    /// <exception cref="QuenchException">SNAP-160, SNAP-161.</exception>
    internal (string Name, string Path) OpenFile(FuseSession session, ulong node, uint number)
    {
        lock (_control)
        {
            (string name, string path) = AddFile(session, node, number);
            _openFiles++;
            return (name, path);
        }
    }

    /// <summary>Takes a conversation's file away.</summary>
    internal void CloseFile(FuseSession session, string name)
    {
        lock (_control)
        {
            session.Remove(name);
            _openFiles--;
        }
    }

    /// <summary>Shows a snapshot as a read-only block device, until it is taken back. Asked twice, it answers the same device.</summary>
    /// <exception cref="QuenchException">SNAP-160, SNAP-161.</exception>
    internal string Expose(FuseSession session, ulong node, uint number)
    {
        lock (_control)
        {
            if (_exposed.TryGetValue(number, out Exposure? there))
            {
                return there.Device;
            }

            (string name, string path) = AddFile(session, node, number);
            try
            {
                using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadOnly | OpenMode.Direct);
                string label = string.Create(CultureInfo.InvariantCulture, $"quench:{_run.Name}@{number}");
                string device = LoopDevice.Attach(file, Math.Max(_origin.Geometry.SectorSize, SmallestSector), readOnly: true, label);
                _exposed.Add(number, new Exposure(name, device));
                return device;
            }
            catch
            {
                session.Remove(name);
                throw;
            }
        }
    }

    /// <summary>Takes an exposed snapshot's device away.</summary>
    /// <exception cref="QuenchException">SNAP-160: it is not exposed; SNAP-168: it is in use.</exception>
    internal void Unexpose(FuseSession session, uint number)
    {
        lock (_control)
        {
            Entry(number);
            if (!_exposed.TryGetValue(number, out Exposure? exposure))
            {
                return; // as it should be
            }

            if (!LoopDevice.TryDetach(exposure.Device))
            {
                throw StoreErrors.InUse(_run.Name, exposure.Device);
            }

            session.Remove(exposure.FileName);
            _exposed.Remove(number);
        }
    }

    /// <summary>Which bytes of the volume differ, or may differ, from a snapshot, and what overwriting them would take of the store.</summary>
    internal StoreReply Saved(uint number, long fromBlock, int limit)
    {
        lock (_control)
        {
            SnapshotStore store = DemandReadable(number);
            List<Extent> runs = [];
            long next = store.Saved(number, fromBlock, limit, runs, out long slots);
            StoreUsage usage = store.Usage();
            return new StoreReply
            {
                Extents = [.. runs.SelectMany(run => (long[])[run.Offset, run.Length])],
                NextBlock = next * BlockSize >= _origin.Geometry.Length ? null : next,
                NeededBytes = slots * BlockSize,
                UsedBytes = usage.UsedBytes,
                CapBytes = usage.CapBytes,
            };
        }
    }

    private (string Name, string Path) AddFile(FuseSession session, ulong node, uint number)
    {
        SnapshotStore store = DemandReadable(number);
        string name = string.Create(CultureInfo.InvariantCulture, $"{FilePrefix}{number}-{node}");
        return (name, session.Add(name, new StoredSnapshotFile(store, number, _origin.Geometry.SectorSize), node));
    }

    private static string Text(DropReason reason) => reason switch
    {
        DropReason.Full => "the store was full, and it was the oldest",
        DropReason.SaveFailed => "an old block could not be kept: see the kernel's log for the store's disk",
        DropReason.TooSlow => "its store's disk was too slow for the volume, or did not answer",
        _ => "the store has lost it",
    };

    private StoreSnapshot Describe(CatalogueEntry entry, Dictionary<uint, SnapshotRecord> records, Dictionary<uint, HeldVersions> sizes)
    {
        bool isThere = records.TryGetValue(entry.Number, out SnapshotRecord record);
        HeldVersions held = sizes.GetValueOrDefault(entry.Number);
        return new StoreSnapshot
        {
            Number = entry.Number,
            Label = entry.Label,
            Instant = entry.Instant,
            Grade = entry.Grade,
            Gone = entry.Lost ?? (isThere && record.State != RecordState.Dropped ? null : Text(record.Reason)),
            AloneBytes = held.Alone * BlockSize,
            SharedBytes = held.Shared * BlockSize,
            Device = _exposed.GetValueOrDefault(entry.Number)?.Device,
            Id = entry.Id,
            Set = entry.Set,
        };
    }

    private SnapshotStore DemandReadable(uint number)
    {
        ThrowIfUnusable();
        CatalogueEntry entry = Entry(number);
        SnapshotRecord record = _store?.Records().FirstOrDefault(record => record.Number == number) ?? default;
        return entry.Lost is null && record.State is RecordState.Live
            ? _store!
            : throw StoreErrors.Gone(_run.Name, number, entry.Lost ?? Text(record.Reason));
    }

    private CatalogueEntry Entry(uint number) =>
        _catalogue.Snapshots.FirstOrDefault(entry => entry.Number == number) ?? throw StoreErrors.NoSuchSnapshot(_run.Name, number);

    private void ThrowIfUnusable()
    {
        if (_trouble is { } trouble)
        {
            throw new QuenchException(trouble.Code, trouble.Message, trouble.Next, trouble) { Effect = trouble.Effect };
        }
    }
}
