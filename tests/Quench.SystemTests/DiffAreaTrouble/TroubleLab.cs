using System.Diagnostics;
using System.Globalization;
using System.Text;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.SystemTests.DiffAreaTrouble;

/// <summary>
/// A volume that is written throughout, a diff area on a disk that misbehaves, and a vault. Production must see no error and no stall, a point must be right or not be there,
/// and the trouble must be told at once.
/// </summary>
internal sealed class TroubleLab : IAsyncDisposable
{
    private const int MiB = 1 << 20;
    private const int FieldBlocks = 4096;       // 16 MiB
    private const long DiskLength = 96L * MiB;
    private const int TinyLength = 2 * MiB;     // the disk that has no room
    private const int BaselineWrites = 1500;

    private static readonly TimeSpan s_told = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_hold = TimeSpan.FromMilliseconds(400);

    private readonly LiveVolume _volume;
    private readonly TimedWriter _writer;
    private readonly BackupVault _vault;
    private readonly TinyFileSystem _tiny;
    private FaultyFolder _folder;
    private int _points;

    private TroubleLab(LiveVolume volume, TimedWriter writer, BackupVault vault, TinyFileSystem tiny, FaultyFolder folder)
    {
        _volume = volume;
        _writer = writer;
        _vault = vault;
        _tiny = tiny;
        _folder = folder;
    }

    /// <summary>Milliseconds of production's writes under a snapshot whose diff area is sound.</summary>
    internal List<double> Baseline { get; } = [];

    /// <summary>Those from the trouble on.</summary>
    internal List<double> Troubled { get; } = [];

    /// <summary>How long it took from the breaking until the backup had failed.</summary>
    internal List<double> ToldAfter { get; } = [];

    /// <summary>How many rounds of each kind ended in which way.</summary>
    internal SortedDictionary<string, int> Ends { get; } = new(StringComparer.Ordinal);

    internal static async Task<TroubleLab> CreateAsync(int seed)
    {
        LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 20L * MiB);
        CreatedVault made = await BackupVault.CreateAsync(
            new MemoryStore(), new VaultSettings { ChunkSize = VaultSettings.MinChunkSize, Kdf = KdfCost.Floor }, Encoding.UTF8.GetBytes("password"), TimeProvider.System, CancellationToken.None);
        TinyFileSystem tiny = await TinyFileSystem.MountAsync(volume.Scratch, TinyLength);
        FaultyFolder folder = await FaultyFolder.MakeAsync(DiskLength);
        TimedWriter writer = new(volume.Device, new StampField((ulong)seed, FieldBlocks));
        await writer.WriteAsync(FieldBlocks);
        writer.TakeTimes();
        return new TroubleLab(volume, writer, made.Vault, tiny, folder);
    }

    /// <summary>One round, the healthy part first.</summary>
    internal async Task RunAsync(TroublePlan plan)
    {
        await MeasureBaselineAsync(plan);
        await SufferAsync(plan);
        await HealAsync();
    }

    /// <summary>What all rounds must have shown together.</summary>
    internal async Task CheckAsync()
    {
        Assert.Equal(_points, (await _vault.ListPointsAsync(CancellationToken.None)).Count);
        await _writer.WriteAsync(0);
        StampVerdict live = StampChecker.Check(_writer.Field, _volume.Device);
        live.Demand(_writer.Written, _writer.Written, "the volume");
    }

    public async ValueTask DisposeAsync()
    {
        _writer.Dispose();
        await _folder.DisposeAsync();
        await _tiny.DisposeAsync();
        await _vault.DisposeAsync();
        await _volume.DisposeAsync();
    }

    private async Task SufferAsync(TroublePlan plan)
    {
        long atLeast = _writer.Written;
        _writer.GoOn();
        await using ISnapshot snapshot = await _volume.SnapshotAsync(OptionsFor(plan));
        long atMost = _writer.Issued;
        HeldBackSnapshot held = new(snapshot, plan.FreeReads);
        using CancellationTokenSource over = new();
        Task<long> broken = NoteBreakAsync(snapshot, over.Token);
        Task<CaptureResult> capture = CaptureAsync(held);
        Task<long> ended = NoteEndAsync(capture);
        await _writer.WriteAsync(plan.WritesBefore);
        Begin(plan.Kind);
        _writer.TakeTimes();
        await _writer.WriteAsync(plan.WritesAfter);
        Troubled.AddRange(_writer.TakeTimes());
        await LearnEndAsync(plan, held, capture, (broken, ended), atLeast, atMost);
        await over.CancelAsync();
        _writer.ThrowIfFailed();
    }

    private async Task MeasureBaselineAsync(TroublePlan plan)
    {
        SnapshotOptions sound = new() { MemoryBytes = plan.MemoryKiB * 1024L, SpillFolder = _folder.Path, CapBytes = 32 * MiB };
        await using ISnapshot snapshot = await _volume.SnapshotAsync(sound);
        _writer.TakeTimes();
        await _writer.WriteAsync(BaselineWrites);
        Baseline.AddRange(_writer.TakeTimes());
        Assert.Null((await snapshot.GetStatusAsync(CancellationToken.None)).BrokenReason);
    }

    private SnapshotOptions OptionsFor(TroublePlan plan) => new()
    {
        MemoryBytes = plan.MemoryKiB * 1024L,
        SpillFolder = plan.Kind == TroubleKind.NoSpace ? _tiny.Path : _folder.Path,
        CapBytes = plan.Kind == TroubleKind.Cap ? (plan.MemoryKiB * 1024L) + MiB : 32 * MiB,
        HoldLimit = plan.Holds && plan.Kind != TroubleKind.Cap ? s_hold : TimeSpan.Zero,
    };

    private void Begin(TroubleKind kind)
    {
        switch (kind)
        {
            case TroubleKind.Failing:
                _folder.Become(DiskMood.Failing);
                break;
            case TroubleKind.Slow:
                _folder.Become(DiskMood.Slow);
                break;
            case TroubleKind.Silent:
                _folder.Become(DiskMood.Silent);
                break;
            case TroubleKind.Unplugged:
                _folder.Unplug();
                break;
        }
    }

    private static async Task<long> NoteBreakAsync(ISnapshot snapshot, CancellationToken cancellationToken)
    {
        await snapshot.WaitUntilBrokenAsync(cancellationToken);
        return Stopwatch.GetTimestamp();
    }

    private static async Task<long> NoteEndAsync(Task work)
    {
        await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return Stopwatch.GetTimestamp();
    }

    private Task<CaptureResult> CaptureAsync(HeldBackSnapshot snapshot)
    {
        CaptureRequest request = new() { Snapshot = snapshot, Analysis = VolumeAnalysis.AllInUse(snapshot.Geometry.Length), Name = "volume", Host = "test" };
        return Task.Run(() => VolumeCapture.RunAsync(request, _vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, CancellationToken.None));
    }

    /// <summary>Waits for the backup: broken, it must have failed within a second though it is held back; sound, it goes on and its point must be right.</summary>
    private async Task LearnEndAsync(TroublePlan plan, HeldBackSnapshot held, Task<CaptureResult> capture, (Task<long> Broken, Task<long> Ended) at, long atLeast, long atMost)
    {
        if (!at.Broken.IsCompleted && (await held.GetStatusAsync(CancellationToken.None)).BrokenReason is null)
        {
            held.Let(); // the trouble has not hurt it yet, and may while it is read
        }

        QuenchException? failure = null;
        try
        {
            CaptureResult result = await capture.WaitAsync(TimeSpan.FromSeconds(60));
            await CheckImageAsync(result, atLeast, atMost);
            _points++;
        }
        catch (QuenchException told)
        {
            failure = told;
            Assert.Equal(("SNAP-104", 20), (told.Code, told.ExitCode));
            TimeSpan after = Stopwatch.GetElapsedTime(await at.Broken.WaitAsync(s_told), await at.Ended);
            ToldAfter.Add(Math.Max(0, after.TotalMilliseconds)); // the backup may have been told first
            Assert.True(after < s_told, $"told {after.TotalMilliseconds:0} ms after it broke");
        }

        string end = string.Create(CultureInfo.InvariantCulture, $"{plan.Kind}: {(failure is null ? "a point" : "broken")}");
        Ends[end] = Ends.GetValueOrDefault(end) + 1;
        Figures.Say(string.Create(CultureInfo.InvariantCulture, $"seed {plan.Seed}: {plan.Kind}, {failure?.Message ?? "a point, which is right"}"));
    }

    private async Task CheckImageAsync(CaptureResult result, long atLeast, long atMost)
    {
        string path = Path.Combine(_volume.Scratch, "image");
        await using (IBlockReader image = _vault.OpenImage(result.Volume))
        {
            byte[] bytes = new byte[FieldBlocks * StampField.BlockSize];
            await image.ReadAsync(0, bytes, CancellationToken.None);
            await File.WriteAllBytesAsync(path, bytes);
        }

        StampChecker.Check(_writer.Field, path).Demand(atLeast, atMost, "the point");
    }

    /// <summary>A sound disk for the next round.</summary>
    private async Task HealAsync()
    {
        _folder.Become(DiskMood.Sound);
        if (!_folder.IsSound)
        {
            await _folder.DisposeAsync();
            _folder = await FaultyFolder.MakeAsync(DiskLength);
        }
    }
}
