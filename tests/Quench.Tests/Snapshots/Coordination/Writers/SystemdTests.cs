using System.Text;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Writers.Servers;
using Quench.Snapshots.Coordination.Writers.Systemd;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>Units whose service manager does what the real one can't be made to do, by a script in its place. The real one is in the system tests, in a machine of its own.</summary>
public sealed class SystemdTests : IDisposable
{
    private const string Unit = "app.service";

    private readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_unit_is_stopped_and_started_again()
    {
        await using SystemdHold hold = Stopping(Script());
        await hold.PrepareAsync(Stop);
        await hold.HoldAsync(Stop);
        Assert.Equal("inactive", State());
        Assert.True((await hold.ConfirmAsync(Stop)).IsHeld);
        await hold.LetGoAsync();
        await hold.SettleAsync();
        await hold.LetGoAsync();
        Assert.Equal("active", State());
        Assert.Equal(["stop", "start --no-block", "start"], Verbs());
    }

    [Fact]
    public async Task A_unit_that_does_not_run_is_left_alone()
    {
        await using SystemdHold hold = Stopping(Script(state: "inactive"));
        await hold.PrepareAsync(Stop);
        await hold.HoldAsync(Stop);
        Assert.True((await hold.ConfirmAsync(Stop)).IsHeld);
        await hold.LetGoAsync();
        await hold.SettleAsync();
        Assert.Empty(Verbs());
    }

    [Fact]
    public async Task A_unit_that_somebody_starts_meanwhile_was_not_held()
    {
        await using SystemdHold hold = Stopping(Script());
        await hold.HoldAsync(Stop);
        await File.WriteAllTextAsync(_folder["invocation"], "another", Stop); // and stopped again
        Assert.False((await hold.ConfirmAsync(Stop)).IsHeld);
        await hold.LetGoAsync();
        Assert.Equal("active", State());
    }

    [Fact]
    public async Task A_unit_that_does_not_stop_cleanly_is_started_again_and_not_held()
    {
        await using SystemdHold hold = Stopping(Script(stop: "echo failed >state"));
        WriterException failure = await Assert.ThrowsAsync<WriterException>(() => hold.HoldAsync(Stop).AsTask());
        Assert.Contains("did not stop cleanly (failed", failure.Message, StringComparison.Ordinal);
        await hold.LetGoAsync();
        Assert.Equal("active", State());
    }

    [Fact]
    public async Task A_stop_that_takes_too_long_is_called_off_and_the_unit_started_again()
    {
        await using SystemdHold hold = Stopping(Script(stop: "echo deactivating >state; echo >stopping; exec tail -f /dev/null"));
        using CancellationTokenSource over = new();
        Task holding = hold.HoldAsync(over.Token).AsTask();
        using FileSystemWatcher watcher = new(_folder.Path, "stopping");
        TaskCompletionSource stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
        watcher.Created += (_, _) => stopping.TrySetResult();
        watcher.EnableRaisingEvents = true;
        if (!File.Exists(_folder["stopping"]))
        {
            await stopping.Task.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        }

        await over.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => holding);
        await hold.LetGoAsync();
        Assert.Equal("active", State());
    }

    [Fact]
    public async Task A_start_that_is_refused_is_tried_again()
    {
        await using SystemdHold hold = Stopping(Script(start: "[ -e refused ] || { echo >refused; echo 'not now' >&2; exit 1; }; echo active >state"));
        await hold.HoldAsync(Stop);
        await hold.LetGoAsync();
        Assert.Equal("active", State());
    }

    [Fact]
    public async Task A_unit_that_does_not_start_again_is_said_with_what_to_do()
    {
        await using SystemdHold hold = Stopping(Script(start: "[ \"$2\" = --no-block ] || { echo 'Job for app.service failed.' >&2; exit 1; }"));
        await hold.HoldAsync(Stop);
        await hold.LetGoAsync();
        WriterException failure = await Assert.ThrowsAsync<WriterException>(() => hold.SettleAsync().AsTask());
        Assert.Contains("`systemctl status app.service` says why (Job for app.service failed.", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_freeze_that_is_refused_says_what_systemd_said()
    {
        Systemctl systemctl = Script(freeze: "echo 'Failed to freeze unit: Access denied' >&2; exit 4");
        ServerRefusalException refusal = await Assert.ThrowsAsync<ServerRefusalException>(() => systemctl.FreezeAsync(Unit, Stop));
        Assert.Equal("Failed to freeze unit: Access denied (systemctl freeze: exit code 4)", refusal.Message);
    }

    [Fact]
    public async Task A_service_manager_that_floods_is_not_listened_to() =>
        await Assert.ThrowsAsync<ProtocolException>(() => Script(show: "exec yes").ShowAsync(Unit, Stop));

    [Fact]
    public async Task A_unit_that_nobody_knows_cannot_be_held()
    {
        WriterMetadata metadata = await IdentifyAsync(Script(load: "not-found", state: "inactive"), "freeze");
        Assert.Contains("knows no unit", metadata.CannotHold, StringComparison.Ordinal);
        Assert.Equal(FreezeLevel.System, metadata.Level);
        Assert.Equal(_folder.Path, Assert.Single(metadata.Components[0].Files).Folder);
    }

    [Fact]
    public async Task A_unit_that_systemd_cannot_freeze_cannot_be_frozen() =>
        Assert.Contains("systemd.manner=stop", (await IdentifyAsync(Script(more: "CanFreeze=no"), "freeze")).CannotHold, StringComparison.Ordinal);

    [Fact]
    public async Task A_unit_that_takes_others_with_it_cannot_be_stopped()
    {
        Assert.Contains("web.service would be stopped with", (await IdentifyAsync(Script(more: "RequiredBy=web.service"), "stop")).CannotHold, StringComparison.Ordinal);
        Assert.Null((await IdentifyAsync(Script(), "stop")).CannotHold);
    }

    [Fact]
    public async Task Without_folders_nobody_knows_what_it_owns()
    {
        Systemctl systemctl = Script();
        IWriter writer = Assert.Single(await FindAsync(systemctl, ("systemd.units", Unit)));
        Assert.Contains("systemd.folders.app.service", (await Assert.ThrowsAsync<WriterException>(() => writer.IdentifyAsync(Stop).AsTask())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_unit_is_stopped_for_a_restore_and_started_when_all_is_back()
    {
        IWriter writer = Assert.Single(await FindAsync(Script(), ("systemd.units", Unit), ($"systemd.folders.{Unit}", _folder.Path)));
        RestoreOperation operation = new(Guid.Empty, [Unit], "/", []);
        await writer.PreRestoreAsync(operation with { Target = "/elsewhere" }, Stop);
        Assert.Equal("active", State());
        await writer.PreRestoreAsync(operation, Stop);
        Assert.Equal("inactive", State());
        await Assert.ThrowsAsync<WriterException>(async () => await writer.PostRestoreAsync(operation, succeeded: false, Stop));
        Assert.Equal("inactive", State());
        await writer.PostRestoreAsync(operation, succeeded: true, Stop);
        Assert.Equal("active", State());
    }

    [Theory]
    [InlineData("systemd.units", "multi-user.target")]
    [InlineData("systemd.units", "app")]
    [InlineData("systemd.units", "*.service")]
    [InlineData("systemd.units", "-H.service")]
    [InlineData("systemd.manner", "kill")]
    public async Task A_setting_that_is_none_is_said(string name, string value)
    {
        Dictionary<string, string> settings = new() { ["systemd.units"] = Unit, [name] = value };
        await Assert.ThrowsAsync<WriterException>(() => FindAsync(Script(), [.. settings.Select(setting => (setting.Key, setting.Value))]));
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static SystemdHold Stopping(Systemctl systemctl) => new(systemctl, Unit, UnitManner.Stop, TimeProvider.System);

    private async Task<WriterMetadata> IdentifyAsync(Systemctl systemctl, string manner) =>
        await Assert.Single(await FindAsync(systemctl, ("systemd.units", Unit), ("systemd.manner", manner), ($"systemd.folders.{Unit}", _folder.Path))).IdentifyAsync(Stop);

    private async Task<IReadOnlyList<IWriter>> FindAsync(Systemctl systemctl, params (string Name, string Value)[] settings) => await new SystemdSource(systemctl).FindAsync(
        new WriterSearch([_folder.Path], new WriterSettings(settings.ToDictionary(setting => setting.Name, setting => setting.Value)), TimeProvider.System), Stop);

    private string State() => File.ReadAllText(_folder["state"]).Trim();

    /// <summary>What was done, questions left out.</summary>
    private string[] Verbs() => File.Exists(_folder["verbs"]) ? File.ReadAllLines(_folder["verbs"]) : [];

    /// <summary>A service manager of one unit, whose state is a file.</summary>
    private Systemctl Script(
        string state = "active", string load = "loaded", string more = "", string? show = null, string? freeze = null, string stop = "echo inactive >state", string start = "echo active >state")
    {
        File.WriteAllText(_folder["state"], state);
        File.WriteAllText(_folder["invocation"], "one");
        StringBuilder text = new();
        text.Append(
            $"""
            #!/bin/bash
            cd '{_folder.Path}'
            shift 2 # --no-ask-password --no-pager
            case $1 in
            show)
                {show ?? $"echo LoadState={load}; echo ActiveState=$(cat state); echo InvocationID=$(cat invocation); echo FreezerState=running; echo CanStart=yes; echo CanStop=yes; echo '{(more.Length == 0 ? "CanFreeze=yes" : more)}'"} ;;
            freeze)
                echo freeze >>verbs
                {freeze ?? "true"} ;;
            stop)
                echo stop >>verbs
                {stop} ;;
            start)
                if [ "$2" = --no-block ]; then echo start --no-block >>verbs; else echo start >>verbs; fi
                {start} ;;
            esac

            """);
        string path = _folder["systemctl"];
        File.WriteAllText(path, text.ToString());
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new Systemctl(path);
    }
}
