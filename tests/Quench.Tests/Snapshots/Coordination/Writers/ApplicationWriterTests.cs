using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Writers;
using Quench.Snapshots.Coordination.Writers.Servers;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>What all writers that are built in have in common: nothing stays held, whatever happens.</summary>
public sealed class ApplicationWriterTests
{
    private static readonly BackupOperation s_operation = new() { SetId = Guid.Empty, Volumes = [], HoldLimit = TimeSpan.FromSeconds(5) };

    [Fact]
    public async Task A_hold_is_let_go_of_at_the_thaw()
    {
        ModelApplication writer = await FrozenAsync(TimeProvider.System);
        Assert.True((await writer.ThawAsync(Stop)).IsHeld);
        Assert.False(writer.IsHeld);
    }

    [Fact]
    public async Task A_hold_ends_at_its_limit_and_the_thaw_says_so()
    {
        ModelApplication writer = new(new ManualClock(default)); // its timers fire at once
        await writer.PrepareBackupAsync(s_operation, Stop);
        WriterException? late = await Record.ExceptionAsync(() => writer.FreezeAsync(Stop).AsTask()) as WriterException;
        await writer.LetGone.Task.WaitAsync(Stop);
        HoldAnswer answer = await writer.ThawAsync(Stop);
        Assert.False(answer.IsHeld);
        Assert.Contains("limit", late?.Message ?? answer.Reason, StringComparison.Ordinal);
        Assert.False(writer.IsHeld);
    }

    [Fact]
    public async Task An_abort_lets_go_and_the_thaw_says_so()
    {
        ModelApplication writer = await FrozenAsync(TimeProvider.System);
        await writer.AbortAsync(Stop);
        Assert.False(writer.IsHeld);
        Assert.False((await writer.ThawAsync(Stop)).IsHeld);
        await writer.AbortAsync(Stop);
    }

    [Fact]
    public async Task What_is_taken_after_an_abort_is_given_back()
    {
        TaskCompletionSource answers = new();
        ModelApplication writer = new(TimeProvider.System) { Answer = answers.Task };
        await writer.PrepareBackupAsync(s_operation, Stop);
        Task freezing = writer.FreezeAsync(Stop).AsTask();
        await writer.AbortAsync(Stop);
        answers.SetResult();
        await Assert.ThrowsAsync<WriterException>(() => freezing);
        Assert.False(writer.IsHeld);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_freeze_that_fails_holds_nothing(bool refused)
    {
        ModelApplication writer = new(TimeProvider.System) { Answer = Task.FromException(refused ? new ServerRefusalException("42501", "permission denied") : new IOException("it hung up")) };
        await writer.PrepareBackupAsync(s_operation, Stop);
        WriterException failure = await Assert.ThrowsAsync<WriterException>(() => writer.FreezeAsync(Stop).AsTask());
        Assert.Equal(refused ? WriterError.NonRetryable : WriterError.NotResponding, failure.Error);
        Assert.False(writer.IsHeld);
    }

    [Fact]
    public async Task A_deadline_that_passes_is_no_other_failure()
    {
        using CancellationTokenSource deadline = new();
        ModelApplication writer = new(TimeProvider.System) { Answer = Task.Delay(Timeout.Infinite, deadline.Token) };
        await writer.PrepareBackupAsync(s_operation, Stop);
        Task freezing = writer.FreezeAsync(deadline.Token).AsTask();
        await deadline.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => freezing);
        Assert.False(writer.IsHeld);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static async Task<ModelApplication> FrozenAsync(TimeProvider clock)
    {
        ModelApplication writer = new(clock);
        await writer.PrepareBackupAsync(s_operation, Stop);
        await writer.FreezeAsync(Stop);
        Assert.True(writer.IsHeld);
        return writer;
    }

    /// <summary>An application of one flag.</summary>
    private sealed class ModelApplication(TimeProvider clock) : ApplicationWriter(new WriterIdentity(Guid.Empty, Guid.Empty, "Model"), clock)
    {
        internal Task Answer { get; init; } = Task.CompletedTask;

        internal bool IsHeld { get; private set; }

        internal TaskCompletionSource LetGone { get; } = new();

        protected override ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken) =>
            ValueTask.FromResult(new WriterMetadata { Method = "a flag", Components = [] });

        protected override async ValueTask HoldAsync(CancellationToken cancellationToken)
        {
            await Answer;
            IsHeld = true;
        }

        protected override ValueTask<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken) => ValueTask.FromResult(HoldAnswer.Held);

        protected override void LetGo()
        {
            IsHeld = false;
            LetGone.TrySetResult();
        }

        protected override string? WhyNotReplace(RestoreOperation operation) => null;
    }
}
