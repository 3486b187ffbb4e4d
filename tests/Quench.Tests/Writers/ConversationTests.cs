using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Quench.Tests.Faults;
using Quench.Writers;
using Xunit;

namespace Quench.Tests.Writers;

/// <summary>A writer of the package, asked line by line: whatever happens, it lets go.</summary>
public sealed class ConversationTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_hold_from_the_freeze_to_the_thaw_is_confirmed()
    {
        await using Talk talk = new();
        await talk.AskAsync("prepare-backup", """ "set":"5f0b2b3e-8d0c-4f43-9a53-0d7f0c1d2ab7","kind":"full","hold_limit_ms":20000,"volumes":[{"name":"v","device":"/dev/v","mount_point":null}],"components":["a"] """);
        await talk.AskAsync("prepare-snapshot");
        await talk.AskAsync("freeze");
        Assert.True((await talk.AskAsync("thaw")).GetProperty("held").GetBoolean());
        await talk.AskAsync("backup-complete", """ "succeeded":true,"point":"p","may_truncate_logs":true """);
        Assert.Equal(["plan full 20 s v - a", "prepare", "hold", "release", "complete p True"], talk.Writer.Story);
    }

    [Fact]
    public async Task When_the_limit_passes_it_lets_go_by_itself_and_the_thaw_says_so()
    {
        await using Talk talk = new();
        await talk.AskAsync("prepare-backup", """ "hold_limit_ms":3000 """);
        await talk.AskAsync("freeze");
        talk.Clock.Advance(TimeSpan.FromSeconds(3));
        await talk.Writer.Released.Task.WaitAsync(Token);
        JsonElement thaw = await talk.AskAsync("thaw");
        Assert.False(thaw.GetProperty("held").GetBoolean());
        Assert.Contains("the hold limit had passed", thaw.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_abort_amidst_a_hold_cancels_it_and_lets_go()
    {
        await using Talk talk = new();
        talk.Writer.HoldsUntilCancelled = true;
        await talk.SendAsync("freeze");
        await talk.Writer.Holding.Task.WaitAsync(Token);
        await talk.SendAsync("abort");
        Assert.False((await talk.ReceiveAsync()).GetProperty("ok").GetBoolean());
        Assert.True((await talk.ReceiveAsync()).GetProperty("ok").GetBoolean());
        Assert.Equal(["hold", "release"], talk.Writer.Story);
    }

    [Fact]
    public async Task A_question_that_comes_too_early_waits()
    {
        await using Talk talk = new();
        talk.Writer.HoldsUntilCancelled = true;
        await talk.SendAsync("freeze", """ "deadline_ms":500 """);
        await talk.Writer.Holding.Task.WaitAsync(Token);
        await talk.SendAsync("identify");
        talk.Clock.Advance(TimeSpan.FromMilliseconds(500));
        Assert.Equal(1, (await talk.ReceiveAsync()).GetProperty("call").GetInt32());
        Assert.Equal(2, (await talk.ReceiveAsync()).GetProperty("call").GetInt32());
    }

    [Fact]
    public async Task What_could_not_be_let_go_of_is_tried_again()
    {
        await using Talk talk = new();
        await talk.AskAsync("freeze");
        talk.Writer.FailingReleases = 1;
        Assert.Equal("retryable", (await talk.AskAsync("thaw")).GetProperty("error").GetString());
        Assert.True((await talk.AskAsync("abort")).GetProperty("ok").GetBoolean());
        Assert.Equal(["hold", "release", "release"], talk.Writer.Story);
    }

    [Fact]
    public async Task When_the_backup_hangs_up_it_lets_go()
    {
        await using Talk talk = new();
        await talk.AskAsync("freeze");
        await talk.HangUpAsync();
        Assert.Equal(["hold", "release"], talk.Writer.Story);
    }

    [Fact]
    public async Task What_is_late_is_told_as_such_and_let_go_of()
    {
        await using Talk talk = new();
        talk.Writer.HoldsUntilCancelled = true;
        await talk.SendAsync("freeze", """ "deadline_ms":500 """);
        await talk.Writer.Holding.Task.WaitAsync(Token);
        talk.Clock.Advance(TimeSpan.FromMilliseconds(500));
        Assert.Equal("timeout", (await talk.ReceiveAsync()).GetProperty("error").GetString());
        Assert.Equal(["hold", "release"], talk.Writer.Story);
    }

    [Theory]
    [InlineData(WriterError.Retryable, "retryable")]
    [InlineData(WriterError.NonRetryable, "non-retryable")]
    [InlineData(WriterError.Timeout, "timeout")]
    [InlineData(WriterError.OutOfResources, "out-of-resources")]
    [InlineData(WriterError.InconsistentSnapshot, "inconsistent-snapshot")]
    public async Task A_failure_is_told_in_the_words_of_the_protocol(WriterError error, string word)
    {
        await using Talk talk = new();
        talk.Writer.Failure = new WriterFailureException(error, "it is so");
        JsonElement answer = await talk.AskAsync("freeze");
        Assert.Equal((word, "it is so"), (answer.GetProperty("error").GetString(), answer.GetProperty("message").GetString()));
        Assert.Equal(["hold", "release"], talk.Writer.Story); // what fails halfway may hold something
    }

    [Theory]
    [InlineData(typeof(IOException), "retryable")]
    [InlineData(typeof(InvalidOperationException), "non-retryable")]
    public async Task Any_other_exception_is_an_answer_too(Type kind, string word)
    {
        await using Talk talk = new();
        talk.Writer.Failure = (Exception)Activator.CreateInstance(kind, "it broke")!;
        JsonElement answer = await talk.AskAsync("freeze");
        Assert.Equal(word, answer.GetProperty("error").GetString());
        Assert.Contains("it broke", answer.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_that_is_not_known_is_refused_and_the_conversation_goes_on()
    {
        await using Talk talk = new();
        Assert.Equal("non-retryable", (await talk.AskAsync("explode")).GetProperty("error").GetString());
        Assert.True((await talk.AskAsync("identify")).GetProperty("ok").GetBoolean());
    }

    [Theory]
    [InlineData("no json")]
    [InlineData("[]")]
    [InlineData("{\"call\":1}")]
    public async Task Who_speaks_another_language_is_hung_up_on(string line)
    {
        await using Talk talk = new();
        await talk.AskAsync("freeze");
        await talk.SendLineAsync(line);
        await talk.Ended.WaitAsync(TimeSpan.FromSeconds(20), Token);
        Assert.Equal(["hold", "release"], talk.Writer.Story);
    }

    private sealed class Talk : IAsyncDisposable
    {
        private readonly Pipe _in = new();
        private readonly Pipe _out = new();
        private readonly StreamReader _answers;
        private int _call;

        public Talk()
        {
            _answers = new StreamReader(_out.Reader.AsStream());
            Ended = WriterHost.ConverseAsync(Writer, _in.Reader.AsStream(), _out.Writer.AsStream(), Clock, CancellationToken.None);
        }

        public SteppedClock Clock { get; } = new();

        public ToldWriter Writer { get; } = new();

        public Task Ended { get; }

        public async Task<JsonElement> AskAsync(string name, string fields = "")
        {
            await SendAsync(name, fields);
            return await ReceiveAsync();
        }

        public Task SendAsync(string name, string fields = "")
        {
            string deadline = fields.Contains("deadline_ms", StringComparison.Ordinal) ? "" : ",\"deadline_ms\":10000";
            return SendLineAsync($"{{\"version\":1,\"call\":{++_call},\"event\":\"{name}\"{deadline}{(fields.Length > 0 ? "," : "")}{fields}}}");
        }

        public async Task SendLineAsync(string line) => await _in.Writer.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), Token);

        public async Task<JsonElement> ReceiveAsync()
        {
            string? line = await _answers.ReadLineAsync(Token).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Token);
            return JsonDocument.Parse(line!).RootElement;
        }

        public async Task HangUpAsync()
        {
            await _in.Writer.CompleteAsync();
            await Ended.WaitAsync(TimeSpan.FromSeconds(20), Token);
        }

        public async ValueTask DisposeAsync()
        {
            await HangUpAsync();
            _answers.Dispose();
        }
    }

    private sealed class ToldWriter : BackupWriter
    {
        public List<string> Story { get; } = [];

        public TaskCompletionSource Holding { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Released { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool HoldsUntilCancelled { get; set; }

        public Exception? Failure { get; set; }

        public int FailingReleases { get; set; }

        public override Task<WriterDescription> IdentifyAsync(CancellationToken cancellationToken) => Task.FromResult(new WriterDescription { Id = Guid.Empty, Name = "told" });

        public override Task PrepareBackupAsync(BackupPlan plan, CancellationToken cancellationToken)
        {
            string volumes = string.Join(' ', plan.Volumes.Select(volume => $"{volume.Name} {volume.MountPoint ?? "-"}"));
            Story.Add($"plan {(plan.IsFull ? "full" : "copy")} {plan.HoldLimit.TotalSeconds:0} s {volumes} {string.Join(' ', plan.Components)}");
            return Task.CompletedTask;
        }

        public override Task PrepareSnapshotAsync(CancellationToken cancellationToken)
        {
            Story.Add("prepare");
            return Task.CompletedTask;
        }

        public override async Task HoldAsync(CancellationToken cancellationToken)
        {
            Story.Add("hold");
            Holding.TrySetResult();
            if (HoldsUntilCancelled)
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            if (Failure is { } failure)
            {
                throw failure;
            }
        }

        public override Task<bool> ReleaseAsync()
        {
            Story.Add("release");
            Released.TrySetResult();
            return FailingReleases-- > 0 ? throw new IOException("the server does not answer") : Task.FromResult(true);
        }

        public override Task CompleteAsync(BackupOutcome outcome, CancellationToken cancellationToken)
        {
            Story.Add($"complete {outcome.Point} {outcome.MayTruncateLogs}");
            return Task.CompletedTask;
        }
    }
}
