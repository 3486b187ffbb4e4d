using System.Text;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Writers.GuestAgent;
using Quench.Snapshots.Coordination.Writers.Servers;
using Quench.Tests.FileSystems;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>The way to a guest's agent, which nobody trusts: whatever it says or does not say, we come to an end, and a guest that we froze is thawed.</summary>
public sealed class GuestAgentTests : IAsyncDisposable
{
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(200);

    private readonly TemporaryDirectory _folder = new();
    private readonly FakeAgent _agent;

    public GuestAgentTests() => _agent = new FakeAgent(Path.Combine(_folder.Path, "agent.sock"));

    public async ValueTask DisposeAsync()
    {
        await _agent.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_guest_is_frozen_confirmed_and_thawed()
    {
        await using GuestAgentHold hold = await FrozenAsync();
        Assert.True(_agent.IsFrozen);
        Assert.True((await hold.ConfirmAsync(Stop)).IsHeld);
        await hold.LetGoAsync();
        Assert.False(_agent.IsFrozen);
        await hold.LetGoAsync();
        Assert.Equal(1, _agent.Thaws);
    }

    [Fact]
    public async Task What_comes_before_the_sentinel_is_for_somebody_else()
    {
        _agent.Garbage = [.. "{\"return\": 7}\n{\"return\": {\"ver"u8, 0xFF, .. "{\"return\": 4711}\n"u8, 0xFF, .. "no JSON\n[[["u8];
        await using GuestAgentHold hold = await FrozenAsync();
        Assert.True((await hold.ConfirmAsync(Stop)).IsHeld);
        await hold.LetGoAsync();
        Assert.False(_agent.IsFrozen);
    }

    [Fact]
    public async Task A_flood_before_the_sentinel_is_not_listened_to()
    {
        _agent.Garbage = new byte[AgentLine.MostLeftOver + 4096];
        await using GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await Assert.ThrowsAsync<ProtocolException>(() => hold.PrepareAsync(Stop).AsTask());
        Assert.False(_agent.IsFrozen);
    }

    [Theory]
    [InlineData("guest-sync-delimited")]
    [InlineData("guest-info")]
    [InlineData("guest-fsfreeze-status")]
    public async Task A_line_without_an_end_is_not_listened_to(string at)
    {
        _agent.Says = command => command == at ? [0xFF, .. Enumerable.Repeat((byte)'[', AgentLine.LongestAnswer + 10)] : null;
        await using GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await Assert.ThrowsAsync<ProtocolException>(() => hold.PrepareAsync(Stop).AsTask());
    }

    [Fact]
    public async Task Lines_that_say_nothing_are_not_listened_to_for_ever()
    {
        _agent.Says = command => command == "guest-info" ? [.. Enumerable.Repeat((byte)'\n', AgentLine.LongestAnswer + 10)] : null;
        await using GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await Assert.ThrowsAsync<ProtocolException>(() => hold.PrepareAsync(Stop).AsTask());
    }

    [Fact]
    public async Task Syncs_of_somebody_else_are_not_listened_to_for_ever()
    {
        byte[] wrong = [0xFF, .. "{\"return\": 5}\n"u8];
        _agent.Says = command => command == "guest-sync-delimited" ? [.. Enumerable.Repeat(wrong, AgentLine.MostLeftOver / wrong.Length).SelectMany(bytes => bytes), .. wrong, .. wrong] : null;
        await using GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await Assert.ThrowsAsync<ProtocolException>(() => hold.PrepareAsync(Stop).AsTask());
    }

    [Fact]
    public async Task An_agent_that_does_not_answer_is_not_waited_for()
    {
        _agent.Says = _ => [];
        WriterException failure = await Assert.ThrowsAsync<WriterException>(() => AgentCommands.BeginAsync(_agent.Path, s_short, TimeProvider.System, Stop).AsTask());
        Assert.Equal(WriterError.NotResponding, failure.Error);
    }

    [Theory]
    [InlineData("no JSON")]
    [InlineData("{\"return\": 3")]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("{\"return\": -1}")]
    [InlineData("{\"return\": \"2\"}")]
    [InlineData("{\"return\": 99999999999999999999}")]
    [InlineData("{\"return\": null}")]
    [InlineData("{\"error\": 5}")]
    [InlineData("{\"return\": 0}")]
    [InlineData("{\"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}}")]
    [InlineData("{\"error\": {\"desc\": \"\\ud800\"}}")]
    public async Task A_freeze_that_is_not_answered_as_one_holds_nothing(string answer)
    {
        _agent.Says = command => command == "guest-fsfreeze-freeze" ? FakeAgent.Line(answer) : null;
        await using GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await hold.PrepareAsync(Stop);
        await Assert.ThrowsAnyAsync<Exception>(() => hold.HoldAsync(Stop).AsTask());
        await hold.LetGoAsync();
        Assert.False(_agent.IsFrozen); // it did what it was asked, whatever it said
    }

    [Theory]
    [InlineData("{\"return\": \"thawed\"}", "thawed before")]
    [InlineData("{\"return\": \"perhaps\"}", "neither")]
    [InlineData("{\"return\": 1}", "word")]
    public async Task A_status_other_than_frozen_is_a_hold_that_was_lost(string status, string why)
    {
        await using GuestAgentHold hold = await FrozenAsync();
        int asked = 0;
        _agent.Says = command => command == "guest-fsfreeze-status" && asked++ == 0 ? FakeAgent.Line(status) : null;
        Exception? failure = null;
        HoldAnswer answer = default;
        try
        {
            answer = await hold.ConfirmAsync(Stop);
        }
        catch (ProtocolException trouble)
        {
            failure = trouble;
        }

        Assert.False(answer.IsHeld);
        Assert.Contains(why, failure?.Message ?? answer.Reason, StringComparison.Ordinal);
        await hold.LetGoAsync();
        Assert.False(_agent.IsFrozen);
    }

    [Fact]
    public async Task An_agent_that_hangs_up_while_its_guest_is_frozen_is_called_again_until_it_thaws()
    {
        await using GuestAgentHold hold = await FrozenAsync();
        int hangUps = 0;
        _agent.HangsUpAt = command => command is "guest-fsfreeze-status" or "guest-sync-delimited" && hangUps++ < 3;
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await hold.ConfirmAsync(Stop); // answered, and then hung up on
            await hold.ConfirmAsync(Stop);
        });
        await hold.LetGoAsync();
        Assert.False(_agent.IsFrozen);
    }

    [Fact]
    public async Task A_freeze_that_is_called_off_is_undone_and_its_late_answer_means_nothing()
    {
        _agent.Says = command => command == "guest-fsfreeze-freeze" ? [] : null;
        await using GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await hold.PrepareAsync(Stop);
        using CancellationTokenSource over = new(s_short);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hold.HoldAsync(over.Token).AsTask());
        Assert.True(_agent.IsFrozen);
        _agent.Garbage = FakeAgent.Line("""{"return": 2}""");
        await hold.LetGoAsync();
        Assert.False(_agent.IsFrozen);
    }

    [Fact]
    public async Task A_guest_that_is_switched_off_is_not_waited_for()
    {
        await using GuestAgentHold hold = await FrozenAsync();
        await _agent.DisposeAsync();
        await hold.LetGoAsync();
    }

    [Fact]
    public async Task A_guest_that_somebody_else_froze_stays_as_it_is()
    {
        _agent.IsFrozen = true;
        await using GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await Assert.ThrowsAsync<WriterException>(() => hold.PrepareAsync(Stop).AsTask());
        await hold.LetGoAsync();
        Assert.True(_agent.IsFrozen);
    }

    [Fact]
    public async Task A_guest_that_does_not_allow_it_cannot_hold_and_says_what_to_do()
    {
        _agent.Disabled = ["guest-fsfreeze-freeze"];
        IWriter writer = await FindAsync(("qemu.agents", $"shop:{_agent.Path}"), ("qemu.folders.shop", _folder.Path));
        WriterMetadata metadata = await writer.IdentifyAsync(Stop);
        Assert.Contains("guest-fsfreeze-freeze", metadata.CannotHold, StringComparison.Ordinal);
        Assert.Equal("7.2.19", metadata.Version);
        Assert.Equal(FreezeLevel.System, metadata.Level);
        await writer.DisposeAsync();
    }

    [Fact]
    public async Task A_guest_whose_disks_are_not_named_does_not_say_what_it_owns()
    {
        IWriter writer = await FindAsync(("qemu.agents", $"shop:{_agent.Path}"));
        WriterException failure = await Assert.ThrowsAsync<WriterException>(() => writer.IdentifyAsync(Stop).AsTask());
        Assert.Contains("qemu.folders.shop", failure.Message, StringComparison.Ordinal);
        await writer.DisposeAsync();
    }

    [Fact]
    public async Task Disks_are_put_back_only_when_the_machine_is_off()
    {
        IWriter writer = await FindAsync(("qemu.agents", $"shop:{_agent.Path}"), ("qemu.folders.shop", _folder.Path));
        RestoreOperation operation = new(Guid.Empty, ["shop"], "/", []);
        Assert.Contains("runs", (await Assert.ThrowsAsync<WriterException>(async () => await writer.PreRestoreAsync(operation, Stop))).Message, StringComparison.Ordinal);
        await writer.PreRestoreAsync(operation with { Target = "/elsewhere" }, Stop);
        await _agent.DisposeAsync();
        await writer.PreRestoreAsync(operation, Stop);
        await writer.DisposeAsync();
    }

    [Theory]
    [InlineData("shop")]
    [InlineData("shop:relative")]
    [InlineData(":/run/shop")]
    [InlineData("a shop:/run/shop")]
    public async Task A_setting_that_names_no_agent_is_said(string setting) =>
        await Assert.ThrowsAsync<WriterException>(() => FindAsync(("qemu.agents", setting)));

    [Fact]
    public async Task An_agent_that_talks_nonsense_is_told_as_such_and_nothing_else_happens()
    {
        Random random = TestSeed.NewRandom();
        int rounds = Knob.Number("QUENCH_FUZZ_ROUNDS", 400) / 4;
        for (int round = 0; round < rounds; round++)
        {
            byte[] nonsense = Encoding.UTF8.GetBytes("""{"return": {"version": "7", "supported_commands": [{"name": "guest-fsfreeze-freeze", "enabled": true}, {"name": 5}]}}""" + "\n");
            for (int change = random.Next(1, 6); change > 0; change--)
            {
                nonsense[random.Next(nonsense.Length)] = (byte)random.Next(256);
            }

            _agent.Says = command => command == "guest-info" ? [.. nonsense, (byte)'\n', (byte)'}', (byte)'\n'] : null;
            using AgentLine line = await AgentCommands.BeginAsync(_agent.Path, TimeSpan.FromSeconds(30), TimeProvider.System, Stop);
            Exception? failure = await Record.ExceptionAsync(async () => await AgentCommands.LookAsync(line, Stop));
            Assert.True(failure is null or ProtocolException or ServerRefusalException, failure?.ToString());
        }
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private async Task<GuestAgentHold> FrozenAsync()
    {
        GuestAgentHold hold = new(_agent.Path, TimeProvider.System);
        await hold.PrepareAsync(Stop);
        Assert.False(_agent.IsFrozen);
        await hold.HoldAsync(Stop);
        return hold;
    }

    private async Task<IWriter> FindAsync(params (string Name, string Value)[] settings) => Assert.Single(await new GuestAgentSource().FindAsync(
        new WriterSearch([_folder.Path], new WriterSettings(settings.ToDictionary(setting => setting.Name, setting => setting.Value)), TimeProvider.System), Stop));
}
