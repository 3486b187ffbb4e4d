using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Snapshots;

namespace Quench.Tests.Imaging;

/// <summary>
/// A volume whose every write is counted, as a filter counts them; it can be made to lose count, and to lie. Its history is kept at a granularity of
/// its own, coarser or finer than the chunks.
/// </summary>
internal sealed class TrackedVolume
{
    private readonly Random _random;
    private readonly byte[] _content;
    private readonly int _region;
    private Guid _vault;
    private Guid? _point;
    private UsedBlocks _usedThen;

    internal TrackedVolume(Random random, int length)
    {
        _random = random;
        _content = random.NextBytes(length);
        _region = 1 << random.Next(9, 18);
        Used = new UsedBlocks(length, 1 << random.Next(9, 15));
        _usedThen = Used;
        Changed = new UsedBlocks(length, _region);
        Doubtful = new UsedBlocks(length, _region);
    }

    internal int Length => _content.Length;

    internal UsedBlocks Used { get; private set; }

    internal UsedBlocks Changed { get; private set; }

    internal UsedBlocks Doubtful { get; private set; }

    /// <summary>Writes that were kept from the history; whoever has read everything since forgives them.</summary>
    internal List<Extent> Lies { get; } = [];

    /// <summary>Instead of answering, say this.</summary>
    internal Func<VolumeChanges>? Answer { get; set; }

    /// <summary>Fails to remember.</summary>
    internal bool IsForgetful { get; set; }

    /// <summary>The point that was last remembered.</summary>
    internal Guid? Remembered => _point;

    internal static TrackedVolume New(Random random, int length, double share = 0.7)
    {
        TrackedVolume volume = new(random, length);
        volume.UseAtRandom(share);
        return volume;
    }

    /// <summary>What an image must hold: the blocks in use, zeros elsewhere.</summary>
    internal byte[] Expected()
    {
        byte[] expected = new byte[Length];
        foreach (Extent run in Used.Runs())
        {
            _content.AsSpan((int)run.Offset, (int)run.Length).CopyTo(expected.AsSpan((int)run.Offset));
        }

        return expected;
    }

    internal void Write(Extent extent)
    {
        Overwrite(extent);
        Changed.Add(extent);
    }

    /// <summary>A write after which nobody knows whether it was counted.</summary>
    internal void WriteInDoubt(Extent extent)
    {
        Overwrite(extent);
        Doubtful.Add(extent);
    }

    internal void WriteUnseen(Extent extent)
    {
        Overwrite(extent);
        Lies.Add(extent);
    }

    internal Extent Anywhere(int most)
    {
        int length = _random.Next(1, Math.Min(most, Length) + 1);
        return new Extent(_random.Next(Length - length + 1), length);
    }

    /// <summary>Takes blocks into use and out of it, without writing: what lies there may be older than any point.</summary>
    internal void UseAtRandom(double share)
    {
        UsedBlocks used = new(Length, Used.BlockSize);
        foreach ((long first, long count) in Used.Bits.SetRuns())
        {
            used.Bits.SetRange(first, count);
        }

        long blocks = used.Bits.Length;
        for (int times = _random.Next(1, 20); times > 0; times--)
        {
            long first = _random.NextInt64(blocks);
            long count = _random.NextInt64(1, Math.Min(blocks - first, 1 + (blocks / 8)) + 1);
            if (_random.NextDouble() < share)
            {
                used.Bits.SetRange(first, count);
            }
            else
            {
                used.Bits.ClearRange(first, count);
            }
        }

        Used = used;
    }

    internal Snapshot Take()
    {
        MemoryDevice instant = new(Length, sectorSize: 1);
        instant.Write(0, _content);
        return new Snapshot(this, new ScriptedSnapshot(instant));
    }

    /// <summary>Puts other bytes there: each differs from the one before it, so that a chunk that was written is a chunk that differs.</summary>
    private void Overwrite(Extent extent)
    {
        foreach (ref byte one in _content.AsSpan((int)extent.Offset, (int)extent.Length))
        {
            one ^= (byte)_random.Next(1, 256);
        }
    }

    private VolumeChanges Tell(Guid vault) =>
        Answer is { } answer ? answer()
        : _point is null || vault != _vault ? VolumeChanges.Unknown("nothing is on record for this vault")
        : new VolumeChanges(_point, Changed, Doubtful, _usedThen, Doubtful.TotalLength > 0 ? "the machine stopped without a word" : null);

    private void Remember(Guid vault, Guid point, UsedBlocks used)
    {
        if (IsForgetful)
        {
            throw new IOException("the record is on a disk that is full");
        }

        (_vault, _point, _usedThen) = (vault, point, used);
        Changed = new UsedBlocks(Length, _region);
        Doubtful = new UsedBlocks(Length, _region);
    }

    /// <summary>The volume at one instant.</summary>
    internal sealed class Snapshot(TrackedVolume volume, ScriptedSnapshot inner) : ISnapshot, IChangeHistory
    {
        private readonly List<UsedBlocks> _kept = [];

        internal ScriptedSnapshot Inner => inner;

        /// <summary>What the promise was shrunk to, time after time.</summary>
        internal IReadOnlyList<UsedBlocks> Kept => _kept;

        public string Volume => inner.Volume;

        public string Provider => inner.Provider;

        public DateTimeOffset Instant => inner.Instant;

        public SnapshotGrade Grade => inner.Grade;

        public TimeSpan? FreezeTime => inner.FreezeTime;

        public IBlockReader Reader => inner.Reader;

        public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken)
        {
            _kept.Add(used);
            return ValueTask.CompletedTask;
        }

        public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => inner.ReleaseAsync(imaged, cancellationToken);

        public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => inner.GetStatusAsync(cancellationToken);

        public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) =>
            inner.GetSavedExtentsAsync(limit, cancellationToken);

        public ValueTask<VolumeChanges> GetChangesAsync(Guid vault, CancellationToken cancellationToken) => ValueTask.FromResult(volume.Tell(vault));

        public ValueTask RememberAsync(Guid vault, Guid point, UsedBlocks used, CancellationToken cancellationToken)
        {
            volume.Remember(vault, point, used);
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
