using System.Globalization;
using System.Security.Cryptography;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Interop.Memory;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Tracked;
using Quench.Vault;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>A snapshot on its way to its instant, of which the whole device is read besides, past every map and mark, while its writers are held.</summary>
internal sealed class FrozenWitness(IConvergingSnapshot inner, string device) : IConvergingSnapshot, IChangeHistory
{
    private const int PieceBytes = 1 << 20;
    private const int BlockBytes = 4096;

    private readonly NativeBuffer _frozen = new(checked((int)inner.Reader.Geometry.Length));

    public IReadOnlyList<string> Doubts => inner.Doubts;

    public string Volume => inner.Volume;

    public string Provider => inner.Provider;

    public DateTimeOffset Instant => inner.Instant;

    public SnapshotGrade Grade => inner.Grade;

    public TimeSpan? FreezeTime => inner.FreezeTime;

    public IBlockReader Reader => inner.Reader;

    /// <summary>Images a volume into a vault and demands that the image is the frozen device, with zeros where nothing was in use.</summary>
    internal static async Task<RecoveryPoint> CaptureAsync(MountedLoop loop, BackupVault vault)
    {
        TrackedOptions options = new() { FreezeLimit = TimeSpan.FromSeconds(60) };
        MountedVolume volume = loop.Find();
        await using FrozenWitness witness = new(TrackedProvider.Start(volume, options, TimeProvider.System), loop.Device);
        CaptureRequest request = new()
        {
            Snapshot = witness,
            Analysis = await Recogniser.AnalyseAsync(witness.Reader, VolumeCondition.Running, CancellationToken.None),
            Name = volume.Name, // as the command line has it: the point before is found by it
            Host = "host",
        };
        CaptureResult result = await VolumeCapture.RunAsync(request, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, CancellationToken.None);
        await witness.DemandAsync(vault, result.Volume);
        return result.Point;
    }

    public ValueTask<UsedBlocks> TakeChangesAsync(CancellationToken cancellationToken) => inner.TakeChangesAsync(cancellationToken);

    public bool ShouldHold(long leftBytes) => inner.ShouldHold(leftBytes);

    public ValueTask<bool> HoldAsync(Func<UsedBlocks, ValueTask<UsedBlocks>> choose, CancellationToken cancellationToken) => inner.HoldAsync(
        async changed =>
        {
            UsedBlocks wanted = await choose(changed);
            await using RawDevice whole = RawDevice.Open(device, DeviceAccess.Read, exclusive: false);
            await ReadAsync(whole, _frozen);
            return wanted;
        },
        cancellationToken);

    public ValueTask<VolumeChanges> GetChangesAsync(Guid vault, CancellationToken cancellationToken) => ((IChangeHistory)inner).GetChangesAsync(vault, cancellationToken);

    public ValueTask RememberAsync(Guid vault, Guid point, UsedBlocks used, CancellationToken cancellationToken) =>
        ((IChangeHistory)inner).RememberAsync(vault, point, used, cancellationToken);

    public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken) => inner.KeepOnlyAsync(used, cancellationToken);

    public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => inner.ReleaseAsync(imaged, cancellationToken);

    public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => inner.GetStatusAsync(cancellationToken);

    public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) => inner.GetSavedExtentsAsync(limit, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        ((IDisposable)_frozen).Dispose();
        await inner.DisposeAsync();
    }

    private async Task DemandAsync(BackupVault vault, VolumeRecord record)
    {
        await using MemoryReader device = new(_frozen, inner.Reader.Geometry);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(device, VolumeCondition.Frozen, CancellationToken.None);
        new CapturePlan(analysis.Used, BlockBytes).ZeroUnused(0, _frozen.GetSpan());
        using NativeBuffer image = new(_frozen.Length);
        await using (IBlockReader stored = vault.OpenImage(record))
        {
            await ReadAsync(stored, image);
        }

        if (!SHA256.HashData(image.GetSpan()).AsSpan().SequenceEqual(SHA256.HashData(_frozen.GetSpan())))
        {
            Assert.Fail($"the image is not the frozen device\n{string.Join('\n', Differences(image.GetSpan(), _frozen.GetSpan(), analysis.Used).Take(20))}");
        }
    }

    private static List<string> Differences(ReadOnlySpan<byte> image, ReadOnlySpan<byte> frozen, UsedBlocks used)
    {
        List<string> wrong = [];
        for (int at = 0; at < image.Length; at += BlockBytes)
        {
            int count = Math.Min(BlockBytes, image.Length - at);
            ReadOnlySpan<byte> has = image.Slice(at, count);
            ReadOnlySpan<byte> had = frozen.Slice(at, count);
            if (!has.SequenceEqual(had))
            {
                wrong.Add(string.Create(
                    CultureInfo.InvariantCulture,
                    $"block {at / BlockBytes}: in use {used.Overlaps(new Extent(at, count))}, zeros in the image {has.IndexOfAnyExcept((byte)0) < 0}, zeros on the device {had.IndexOfAnyExcept((byte)0) < 0}"));
            }
        }

        return wrong;
    }

    private static async Task ReadAsync(IBlockReader from, NativeBuffer into)
    {
        for (int at = 0; at < into.Length; at += PieceBytes)
        {
            await from.ReadAsync(at, into.Memory.Slice(at, Math.Min(PieceBytes, into.Length - at)), CancellationToken.None);
        }
    }

    private sealed class MemoryReader(NativeBuffer memory, BlockGeometry geometry) : IBlockReader
    {
        public BlockGeometry Geometry => geometry;

        public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
        {
            memory.GetSpan().Slice((int)offset, into.Length).CopyTo(into.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => ValueTask.FromResult(ExtentMap.AllData(range));

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
