using System.Diagnostics;
using Quench.Snapshots;
using Quench.Snapshots.Coordination;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination;

/// <summary>The runner with real time: what the coordinator decides is done, and nobody who hangs is waited for.</summary>
public sealed class WriterCoordinationTests
{
    private static readonly CoordinationLimits s_short = new()
    {
        Call = TimeSpan.FromSeconds(2), Writers = TimeSpan.FromMilliseconds(900), Provider = TimeSpan.FromMilliseconds(400), Thaw = TimeSpan.FromMilliseconds(300),
    };

    private static readonly OperationVolume s_root = new("root", "/dev/none", "/");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_writer_that_does_all_it_is_asked_makes_its_volume_application_consistent()
    {
        ScriptedWriter writer = new("good");
        await using WriterCoordination coordination = Coordinate(writer);
        await coordination.HoldAsync(Token);
        Assert.Equal(InstantVerdict.Keep, await coordination.LetGoAsync(taken: true));
        IReadOnlyList<WriterReport> reports = await coordination.SettleAsync(Token);
        Assert.True(reports[0].IsConsistent);
        Assert.Equal(SnapshotGrade.Application, GradeRule.OfVolume("root", SnapshotGrade.FileSystem, reports, coordination.Places));
        Assert.Equal(SnapshotGrade.Crash, GradeRule.OfVolume("root", SnapshotGrade.Crash, reports, coordination.Places));
        await coordination.CompleteAsync(Guid.NewGuid(), Token);
        Assert.Equal(
            [WriterEvent.Identify, WriterEvent.PrepareBackup, WriterEvent.PrepareSnapshot, WriterEvent.Freeze, WriterEvent.Thaw, WriterEvent.PostSnapshot, WriterEvent.BackupComplete],
            writer.Heard);
        Assert.True(writer.Outcome!.Succeeded);
        Assert.False(writer.Outcome.MayTruncateLogs); // it was a copy
    }

    [Theory]
    [InlineData(WriterEvent.Identify, WriterState.FailedAtIdentify)]
    [InlineData(WriterEvent.PrepareBackup, WriterState.FailedAtPrepareBackup)]
    [InlineData(WriterEvent.PrepareSnapshot, WriterState.FailedAtPrepareSnapshot)]
    [InlineData(WriterEvent.Freeze, WriterState.FailedAtFreeze)]
    [InlineData(WriterEvent.Thaw, WriterState.FailedAtThaw)]
    [InlineData(WriterEvent.PostSnapshot, WriterState.FailedAtPostSnapshot)]
    public async Task A_writer_that_fails_at_a_step_lowers_the_grade_and_the_others_go_on(WriterEvent step, WriterState state)
    {
        ScriptedWriter bad = new("bad") { Instead = { [step] = _ => throw new WriterException(WriterError.NonRetryable, "it may not") } };
        ScriptedWriter good = new("good");
        await using WriterCoordination coordination = Coordinate(bad, good);
        await coordination.HoldAsync(Token);
        Assert.Equal(InstantVerdict.Keep, await coordination.LetGoAsync(taken: true));
        IReadOnlyList<WriterReport> reports = await coordination.SettleAsync(Token);
        Assert.Equal((state, WriterError.NonRetryable, "it may not", false), (reports[0].State, reports[0].Error, reports[0].Message, reports[0].IsConsistent));
        Assert.True(reports[1].IsConsistent);
        Assert.Equal(SnapshotGrade.FileSystem, GradeRule.OfVolume("root", SnapshotGrade.FileSystem, reports, coordination.Places));
        await coordination.CompleteAsync(Guid.NewGuid(), Token);
        Assert.Equal(step > WriterEvent.Identify, bad.Heard.Contains(WriterEvent.Abort));
    }

    [Theory]
    [InlineData(WriterEvent.Freeze)]
    [InlineData(WriterEvent.Thaw)]
    public async Task A_writer_that_hangs_and_hears_no_cancellation_is_left_behind_in_time(WriterEvent step)
    {
        TaskCompletionSource never = new();
        TaskCompletionSource aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedWriter hung = new("hung") { Instead = { [step] = _ => never.Task, [WriterEvent.Abort] = _ => { aborted.TrySetResult(); return Task.CompletedTask; } } };
        ScriptedWriter good = new("good");
        await using WriterCoordination coordination = Coordinate(hung, good);
        long since = Stopwatch.GetTimestamp();
        await coordination.HoldAsync(Token);
        await coordination.LetGoAsync(taken: true);
        TimeSpan took = Stopwatch.GetElapsedTime(since);
        IReadOnlyList<WriterReport> reports = await coordination.SettleAsync(Token);
        Assert.Equal(WriterError.Timeout, reports[0].Error);
        await aborted.Task.WaitAsync(TimeSpan.FromSeconds(10), Token); // told beside everything else: nobody waits for it
        Assert.True(reports[1].IsConsistent);
        Assert.True(took < s_short.Writers + s_short.Thaw + TimeSpan.FromSeconds(2), $"it took {took}");
        never.SetResult();
    }

    [Fact]
    public async Task A_provider_that_is_late_finds_everybody_thawed_and_its_instant_refused()
    {
        TaskCompletionSource thawed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedWriter writer = new("good") { Instead = { [WriterEvent.Thaw] = _ => { thawed.TrySetResult(); return Task.CompletedTask; } } };
        await using WriterCoordination coordination = Coordinate(writer);
        await coordination.HoldAsync(Token);
        await thawed.Task.WaitAsync(TimeSpan.FromSeconds(10), Token); // nobody has said that the instant is over
        Assert.Equal(InstantVerdict.TooLate, await coordination.LetGoAsync(taken: true));
        Assert.False((await coordination.SettleAsync(Token))[0].IsConsistent);
    }

    [Fact]
    public async Task A_writer_that_lost_its_hold_gets_a_second_try_and_no_third()
    {
        ScriptedSource source = new(() => new ScriptedWriter("loser") { Held = HoldAnswer.Lost("the session was gone") });
        await using WriterCoordination coordination = new(Options([source]), TimeProvider.System);
        await coordination.HoldAsync(Token);
        Assert.Equal(InstantVerdict.TryAgain, await coordination.LetGoAsync(taken: true));
        await coordination.HoldAsync(Token);
        Assert.Equal(InstantVerdict.Keep, await coordination.LetGoAsync(taken: true));
        WriterReport report = Assert.Single(await coordination.SettleAsync(Token));
        Assert.Equal((WriterState.FailedAtThaw, WriterError.InconsistentSnapshot, "the session was gone"), (report.State, report.Error, report.Message));
        Assert.Equal((2, 2), (coordination.Tries, source.Made.Count));
        Assert.True(((ScriptedWriter)source.Made[0]).IsDisposed);
    }

    [Fact]
    public async Task A_snapshot_that_failed_thaws_everybody_and_tells_them_that_it_is_over()
    {
        ScriptedWriter writer = new("good");
        await using WriterCoordination coordination = Coordinate(writer);
        await coordination.HoldAsync(Token);
        await coordination.LetGoAsync(taken: false);
        await coordination.SettleAsync(Token);
        Assert.Equal([WriterEvent.Thaw, WriterEvent.Abort], writer.Heard.Skip(4));
        Assert.Empty(await coordination.CompleteAsync(Guid.NewGuid(), Token));
    }

    [Fact]
    public async Task Giving_up_while_writers_freeze_lets_everybody_go()
    {
        using CancellationTokenSource givingUp = new();
        ScriptedWriter slow = new("slow") { Instead = { [WriterEvent.Freeze] = async token => { await givingUp.CancelAsync(); await Task.Delay(Timeout.Infinite, token); } } };
        await using WriterCoordination coordination = Coordinate(slow);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => coordination.HoldAsync(givingUp.Token).AsTask());
        Assert.Contains(WriterEvent.Abort, slow.Heard);
    }

    [Fact]
    public async Task A_backup_that_is_not_completed_is_aborted()
    {
        ScriptedWriter writer = new("good");
        await using (WriterCoordination coordination = Coordinate(writer))
        {
            await coordination.HoldAsync(Token);
            await coordination.LetGoAsync(taken: true);
            await coordination.SettleAsync(Token);
        }

        Assert.Equal(WriterEvent.Abort, writer.Heard.Last());
        Assert.True(writer.IsDisposed);
    }

    [Fact]
    public async Task A_source_that_can_not_look_keeps_every_volume_below_application_grade()
    {
        ScriptedSource broken = new(() => throw new IOException("no such folder"));
        await using WriterCoordination coordination = new(Options([broken, new ScriptedSource(() => new ScriptedWriter("good"))]), TimeProvider.System);
        await coordination.HoldAsync(Token);
        await coordination.LetGoAsync(taken: true);
        IReadOnlyList<WriterReport> reports = await coordination.SettleAsync(Token);
        Assert.Equal(WriterState.FailedAtIdentify, reports[0].State);
        Assert.Equal(SnapshotGrade.FileSystem, GradeRule.OfVolume("root", SnapshotGrade.FileSystem, reports, coordination.Places));
    }

    [Fact]
    public async Task What_can_not_hold_or_is_not_wanted_or_lies_elsewhere_is_not_frozen()
    {
        ScriptedWriter unable = new("unable") { CannotHold = "no permission" };
        ScriptedWriter unwanted = new("unwanted");
        ScriptedWriter elsewhere = new("elsewhere", folder: "/proc");
        ScriptedWriter wanted = new("wanted");
        CoordinationOptions options = Options([new ScriptedSource(() => unable, () => unwanted, () => elsewhere, () => wanted)]) with { Components = ["unable", "elsewhere", "WANTED/data"] };
        await using WriterCoordination coordination = new(options, TimeProvider.System);
        await coordination.HoldAsync(Token);
        await coordination.LetGoAsync(taken: true);
        IReadOnlyList<WriterReport> reports = await coordination.SettleAsync(Token);
        Assert.Equal([false, false, false, true], reports.Select(report => report.IsConsistent));
        Assert.All((ScriptedWriter[])[unable, unwanted, elsewhere], writer => Assert.Equal([WriterEvent.Identify], writer.Heard));
        Assert.Equal("no permission", reports[0].Message);
        Assert.Equal(SnapshotGrade.FileSystem, GradeRule.OfVolume("root", SnapshotGrade.FileSystem, reports, coordination.Places));
    }

    private static WriterCoordination Coordinate(params ScriptedWriter[] writers) =>
        new(Options([new ScriptedSource([.. writers.Select<ScriptedWriter, Func<IWriter>>(writer => () => writer)])]) with { Retries = 0 }, TimeProvider.System);

    private static CoordinationOptions Options(IReadOnlyList<IWriterSource> sources) => new() { Volumes = [s_root], Sources = sources, Limits = s_short };
}
