using System.Diagnostics;
using System.Text;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Tests.Vault;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.Tests.Imaging;

/// <summary>A snapshot that breaks fails its backup at once, whatever that is busy with.</summary>
public sealed class BreakWatchTests
{
    private const int Length = 3 << 20;
    private const string Reason = "the diff area is full";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(1);
    private static readonly byte[] s_password = Encoding.UTF8.GetBytes("password");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_capture_that_waits_for_a_read_fails_within_a_second()
    {
        await using BackupVault vault = await TestVault.NewAsync(Token);
        ScriptedSnapshot snapshot = NewSnapshot();
        TaskCompletionSource reading = new(TaskCreationOptions.RunContinuationsAsynchronously);
        snapshot.BeforeRead = async (number, _, token) =>
        {
            if (number == 2)
            {
                reading.TrySetResult();
                await Task.Delay(Timeout.Infinite, token);
            }
        };
        await DemandToldAsync(snapshot, CaptureAsync(snapshot, vault), reading.Task);
        Assert.Empty(await vault.ListPointsAsync(Token));
    }

    [Theory]
    [InlineData(ObjectNames.Sessions)]
    [InlineData(ObjectNames.Packs)]
    public async Task A_capture_whose_vault_does_not_answer_fails_within_a_second_and_never_commits(string prefix)
    {
        StuckStore store = new(new MemoryStore());
        await using BackupVault vault = await NewVaultAsync(store);
        ScriptedSnapshot snapshot = NewSnapshot();
        store.Prefix = prefix;
        await DemandToldAsync(snapshot, CaptureAsync(snapshot, vault), store.Stuck);
        store.Let(); // what was left behind goes on now, and must not commit
        await using BackupVault later = await BackupVault.OpenAsync(store, s_password, TimeProvider.System, Token);
        Assert.Empty(await later.ListPointsAsync(Token));
    }

    [Fact]
    public async Task A_snapshot_that_breaks_while_its_point_is_committed_costs_nothing()
    {
        StuckStore store = new(new MemoryStore());
        await using BackupVault vault = await NewVaultAsync(store);
        ScriptedSnapshot snapshot = NewSnapshot();
        store.Prefix = ObjectNames.Points;
        Task<CaptureResult> capture = CaptureAsync(snapshot, vault);
        await store.Stuck.WaitAsync(TimeSpan.FromSeconds(30), Token);
        snapshot.Break(Reason);
        store.Let();
        CaptureResult result = await capture;
        Assert.Equal(result.Point.Id, Assert.Single(await vault.ListPointsAsync(Token)).Id);
    }

    private static async Task<BackupVault> NewVaultAsync(IObjectStore store)
    {
        VaultSettings settings = new() { ChunkSize = TestVault.ChunkSize, Kdf = VaultLab.Cheap };
        return (await BackupVault.CreateAsync(store, settings, s_password, TimeProvider.System, VaultLab.Cheap, Token)).Vault;
    }

    private static async Task DemandToldAsync(ScriptedSnapshot snapshot, Task<CaptureResult> capture, Task isBusy)
    {
        await isBusy.WaitAsync(TimeSpan.FromSeconds(30), Token);
        long since = Stopwatch.GetTimestamp();
        snapshot.Break(Reason);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => capture);
        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, s_limit);
        Assert.Equal(("SNAP-104", 20), (failure.Code, failure.ExitCode));
        Assert.Contains(Reason, failure.Message, StringComparison.Ordinal);
    }

    private static ScriptedSnapshot NewSnapshot()
    {
        MemoryDevice content = new(Length);
        content.Write(0, TestSeed.NewRandom().NextBytes(Length));
        return new ScriptedSnapshot(content);
    }

    private static Task<CaptureResult> CaptureAsync(ScriptedSnapshot snapshot, BackupVault vault)
    {
        CaptureRequest request = new() { Snapshot = snapshot, Analysis = VolumeAnalysis.AllInUse(Length), Name = "vol", Host = "test" };
        return VolumeCapture.RunAsync(request, vault, new ActivityMonitor(TimeProvider.System), TimeProvider.System, Token);
    }
}
