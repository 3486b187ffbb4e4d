using System.IO.Pipelines;
using System.Text;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Holds;
using Quench.Snapshots.Coordination.Writers;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Holds;

/// <summary>The guard's side of its conversation: whatever its owner does, and whenever, what it holds ends.</summary>
public sealed class HoldGuardLoopTests
{
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(30);

    private readonly Pipe _toGuard = new();
    private readonly Pipe _fromGuard = new();

    [Fact]
    public async Task It_holds_confirms_and_lets_go_when_it_is_told_to()
    {
        ModelHold hold = new();
        Task<int> guard = Start(hold);
        Assert.Equal("R", await HearAsync());
        await SayAsync("H 60000");
        Assert.Equal("H", await HearAsync());
        Assert.True(hold.IsHeld);
        await SayAsync("T");
        Assert.Equal("T", await HearAsync());
        Assert.False(hold.IsHeld);
        Assert.Equal("E", await HearAsync());
        Assert.Equal(HoldGuardLoop.Done, await guard);
        Assert.Equal(["prepare", "hold", "confirm", "let go", "settle"], hold.Calls);
    }

    [Fact]
    public async Task An_owner_that_is_gone_ends_the_hold()
    {
        ModelHold hold = new();
        Task<int> guard = Start(hold);
        await SayAsync("H 60000");
        Assert.Equal("R", await HearAsync());
        Assert.Equal("H", await HearAsync());
        await _toGuard.Writer.CompleteAsync();
        Assert.Equal(HoldGuardLoop.OwnerGone, await guard);
        Assert.False(hold.IsHeld);
        Assert.Equal(["prepare", "hold", "let go", "settle"], hold.Calls);
    }

    [Fact]
    public async Task An_owner_that_goes_while_the_hold_is_taken_ends_that_first_and_then_the_hold()
    {
        ModelHold hold = new() { Holding = token => Task.Delay(Timeout.Infinite, token) };
        Task<int> guard = Start(hold);
        await SayAsync("H 60000");
        await hold.Asked.WaitAsync(Stop);
        await _toGuard.Writer.CompleteAsync();
        Assert.Equal(HoldGuardLoop.NotHeld, await guard);
        Assert.False(hold.IsHeld);
    }

    [Fact]
    public async Task The_limit_ends_the_hold_though_the_owner_hangs()
    {
        ModelHold hold = new();
        Assert.Equal(HoldGuardLoop.LimitPassed, await RunAsync(hold, $"H {s_short.TotalMilliseconds:0}"));
        Assert.False(hold.IsHeld);
    }

    [Fact]
    public async Task The_limit_ends_a_hold_that_is_still_being_taken()
    {
        ModelHold hold = new() { Holding = token => Task.Delay(Timeout.Infinite, token) };
        Task<int> guard = Start(hold);
        await SayAsync($"H {s_short.TotalMilliseconds:0}");
        Assert.Equal("R", await HearAsync());
        Assert.StartsWith($"F {WriterError.Timeout} ", await HearAsync(), StringComparison.Ordinal);
        Assert.Equal(HoldGuardLoop.NotHeld, await guard);
        Assert.False(hold.IsHeld);
    }

    [Fact]
    public async Task What_cannot_be_prepared_is_never_held()
    {
        ModelHold hold = new() { Preparing = _ => Task.FromException(new WriterException(WriterError.NonRetryable, "there is no such\nunit")) };
        Task<int> guard = Start(hold);
        Assert.Equal($"F {WriterError.NonRetryable} there is no such unit", await HearAsync());
        Assert.Equal(HoldGuardLoop.NotHeld, await guard);
        Assert.Equal(["prepare"], hold.Calls);
    }

    [Fact]
    public async Task A_hold_that_fails_is_let_go_of_before_that_is_said()
    {
        ModelHold hold = new() { Holding = _ => Task.FromException(new IOException("it hung up")) };
        Task<int> guard = Start(hold);
        await SayAsync("H 60000");
        Assert.Equal("R", await HearAsync());
        Assert.Equal($"F {WriterError.NotResponding} it hung up", await HearAsync());
        Assert.False(hold.IsHeld);
        Assert.Equal(HoldGuardLoop.NotHeld, await guard);
    }

    [Fact]
    public async Task A_hold_that_was_lost_is_let_go_of_and_said_to_be_lost()
    {
        ModelHold hold = new() { Confirming = _ => Task.FromResult(HoldAnswer.Lost("somebody thawed it")) };
        await DemandLostAsync(hold, "L somebody thawed it");
    }

    [Fact]
    public async Task A_hold_that_cannot_be_confirmed_is_let_go_of_and_said_to_be_lost()
    {
        ModelHold hold = new() { Confirming = _ => Task.FromException<HoldAnswer>(new IOException("nobody answers")) };
        await DemandLostAsync(hold, "L nobody answers");
    }

    [Fact]
    public async Task A_hold_that_does_not_end_is_said_so_to_whoever_is_left()
    {
        ModelHold hold = new() { LettingGo = () => Task.FromException(new WriterException(WriterError.NonRetryable, "it may still be frozen")) };
        Task<int> guard = Start(hold);
        await SayAsync("H 60000");
        await SayAsync("T");
        Assert.Equal(["R", "H", "L it may still be frozen", "E it may still be frozen"], [await HearAsync(), await HearAsync(), await HearAsync(), await HearAsync()]);
        Assert.Equal(HoldGuardLoop.MayStillBeHeld, await guard);
    }

    [Theory]
    [InlineData("")]
    [InlineData("T")]
    [InlineData("H")]
    [InlineData("H ")]
    [InlineData("H -1")]
    [InlineData("H 99999999999999")]
    [InlineData("HH 1")]
    [InlineData("a line that is longer than whatever any owner of a guard would ever say")]
    public async Task What_no_owner_says_holds_nothing(string word)
    {
        ModelHold hold = new();
        Assert.Equal(HoldGuardLoop.Done, await RunAsync(hold, word));
        Assert.Equal(["prepare"], hold.Calls);
    }

    [Theory]
    [InlineData("systemd", "freeze", "app.service", true)]
    [InlineData("systemd", "stop", "app@1.service", true)]
    [InlineData("systemd", "freeze", "docker-0123.scope", true)]
    [InlineData("systemd", "kill", "app.service", false)]
    [InlineData("systemd", "freeze", "--host=elsewhere.service", false)]
    [InlineData("systemd", "freeze", "*.service", false)]
    [InlineData("systemd", "freeze", "app.service;reboot.service", false)]
    [InlineData("systemd", "freeze", "../app.service", false)]
    [InlineData("systemd", "stop", "multi-user.target", false)]
    [InlineData("systemd", "stop", ".service", false)]
    [InlineData("sh", "-c", "app.service", false)]
    public void A_guard_holds_fixed_kinds_of_things_and_starts_no_other_program(string kind, string verb, string what, bool isKnown) =>
        Assert.Equal(isKnown, GuardedHolds.TryMake([kind, verb, what], TimeProvider.System) is not null);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private async Task DemandLostAsync(ModelHold hold, string answer)
    {
        Task<int> guard = Start(hold);
        await SayAsync("H 60000");
        await SayAsync("T");
        Assert.Equal(["R", "H", answer, "E"], [await HearAsync(), await HearAsync(), await HearAsync(), await HearAsync()]);
        Assert.False(hold.IsHeld);
        Assert.Equal(HoldGuardLoop.Done, await guard);
    }

    private Task<int> Start(ModelHold hold) => Task.Run(() => new HoldGuardLoop(hold, _toGuard.Reader.AsStream(), _fromGuard.Writer.AsStream(), TimeProvider.System).RunAsync(), Stop).WaitAsync(TimeSpan.FromMinutes(1), Stop);

    private async Task<int> RunAsync(ModelHold hold, string word)
    {
        await SayAsync(word);
        return await Start(hold);
    }

    private async Task SayAsync(string line) => await _toGuard.Writer.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), Stop);

    private async Task<string> HearAsync()
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(TimeSpan.FromMinutes(1));
        List<byte> line = [];
        Stream from = _fromGuard.Reader.AsStream(leaveOpen: true);
        byte[] one = new byte[1];
        while (await from.ReadAsync(one, limit.Token) == 1 && one[0] != (byte)'\n')
        {
            line.Add(one[0]);
        }

        return Encoding.UTF8.GetString([.. line]);
    }
}
