using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Snapshots;

namespace Quench.Tests.Imaging.Exclusions;

/// <summary>A volume that is an image in a file, as it is at each snapshot. What changed between two is told by comparing all of it.</summary>
internal sealed class ImageHistory(string path)
{
    private const int Region = 4096;

    private byte[] _then = [];
    private (Guid Vault, Guid Point, UsedBlocks Used)? _remembered;

    internal Snapshot Take() => new(this, File.ReadAllBytes(path));

    internal sealed class Snapshot : ISnapshot, IChangeHistory
    {
        private readonly ImageHistory _history;
        private readonly ScriptedSnapshot _inner;

        internal Snapshot(ImageHistory history, byte[] now)
        {
            _history = history;
            Now = now;
            MemoryDevice instant = new(now.Length, sectorSize: 512);
            instant.Write(0, now);
            _inner = new ScriptedSnapshot(instant);
        }

        internal byte[] Now { get; }

        internal ScriptedSnapshot Inner => _inner;

        public string Volume => _inner.Volume;

        public string Provider => _inner.Provider;

        public DateTimeOffset Instant => _inner.Instant;

        public SnapshotGrade Grade => _inner.Grade;

        public TimeSpan? FreezeTime => _inner.FreezeTime;

        public IBlockReader Reader => _inner.Reader;

        public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken) => _inner.KeepOnlyAsync(used, cancellationToken);

        public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => _inner.ReleaseAsync(imaged, cancellationToken);

        public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => _inner.GetStatusAsync(cancellationToken);

        public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) => _inner.GetSavedExtentsAsync(limit, cancellationToken);

        public ValueTask<VolumeChanges> GetChangesAsync(Guid vault, CancellationToken cancellationToken) => ValueTask.FromResult(
            _history._remembered is var (known, point, used) && known == vault
                ? new VolumeChanges(point, Changed(), new UsedBlocks(Now.Length, Region), used, null)
                : VolumeChanges.Unknown("nothing is on record for this vault"));

        public ValueTask RememberAsync(Guid vault, Guid point, UsedBlocks used, CancellationToken cancellationToken)
        {
            (_history._remembered, _history._then) = ((vault, point, used), Now);
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private UsedBlocks Changed()
        {
            UsedBlocks changed = new(Now.Length, Region);
            for (int at = 0; at < Now.Length; at += Region)
            {
                int length = Math.Min(Region, Now.Length - at);
                if (!Now.AsSpan(at, length).SequenceEqual(_history._then.AsSpan(at, length)))
                {
                    changed.Add(new Extent(at, length));
                }
            }

            return changed;
        }
    }
}
