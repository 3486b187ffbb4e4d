using System.Globalization;
using Quench.Blocks;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Programs;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination;

/// <summary>The user's commands: the table of requirements B.7, and programs that hang, fork, flood and will not end.</summary>
public sealed class BackupCommandsTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    /// <summary>Exit code of the first command × whether the snapshot fails: which commands run, and what they are told.</summary>
    [Theory]
    [InlineData(0, true, "before ok|after ok|end ok")]
    [InlineData(0, false, "before ok|after failed|end failed")]
    [InlineData(1, true, "before ok|after failed|end failed")]
    [InlineData(255, true, "before ok|after failed|end failed")]
    public async Task Which_command_runs_and_what_it_is_told(int firstCode, bool snapshotWorks, string expected)
    {
        BackupCommands commands = New(Logs("before", firstCode), Logs("after", 0), Logs("end", 0));
        bool tookSnapshot = false;
        bool succeeded = false;
        try
        {
            await commands.BeforeSnapshotAsync(Token);
            tookSnapshot = true;
            await commands.AfterSnapshotAsync(new CommandStatus(snapshotWorks));
            succeeded = snapshotWorks;
        }
        catch (QuenchException failure)
        {
            Assert.Equal("SNAP-125", failure.Code);
            Assert.Contains(firstCode.ToString(CultureInfo.InvariantCulture), failure.Message, StringComparison.Ordinal);
        }

        await commands.AfterBackupAsync(new CommandStatus(succeeded));
        Assert.Equal(firstCode == 0, tookSnapshot);
        Assert.Equal(expected, string.Join('|', await File.ReadAllLinesAsync(_directory["log"], Token)));
    }

    [Fact]
    public async Task The_commands_after_run_without_one_before_and_their_exit_codes_are_noted()
    {
        BackupCommands commands = New(null, Logs("after", 7), Logs("end", 0));
        await commands.BeforeSnapshotAsync(Token);
        await commands.AfterSnapshotAsync(new CommandStatus(true));
        await commands.AfterBackupAsync(new CommandStatus(true, null, "application", Guid.NewGuid()));
        Assert.Equal([7, 0], commands.Runs.Select(run => run.ExitCode));
        Assert.Contains("exit code 7", commands.Runs[0].Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hang", "sleep 1000")]
    [InlineData("fork", "for i in 1 2 3 4 5; do (sleep 1000) & done; sleep 1000")]
    [InlineData("ignore", "trap '' TERM; (trap '' TERM; while true; do sleep 0.05; done) & while true; do sleep 0.05; done")]
    [InlineData("flood", "while true; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; echo x >&2; done")]
    public async Task A_command_that_does_not_end_is_told_to_at_its_time_and_soon_gone_with_its_whole_group(string name, string body)
    {
        string program = Script(name, $"echo $$ > {_directory["new"]}; mv {_directory["new"]} {_directory["group"]}\n{body}");
        SteppedClock clock = new();
        Task<QuenchException> running = Assert.ThrowsAsync<QuenchException>(() => New(program, null, null, TimeSpan.FromSeconds(5), clock).BeforeSnapshotAsync(Token));
        await BegunAsync(running);
        string group = (await File.ReadAllTextAsync(_directory["group"], Token)).Trim();
        clock.Advance(TimeSpan.FromSeconds(4.9));
        Assert.NotEmpty(Alive(group));

        clock.Advance(TimeSpan.FromSeconds(0.1));
        Assert.InRange(ProgramProcess.Patience, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        using CancellationTokenSource patience = new(TimeSpan.FromSeconds(30));
        while (!running.IsCompleted)
        {
            await Task.WhenAny(running, Task.Delay(TimeSpan.FromMilliseconds(20), patience.Token));
            Assert.False(patience.IsCancellationRequested, "it is still there");
            clock.Advance(TimeSpan.FromMilliseconds(50));
        }

        QuenchException failure = await running;
        Assert.Contains("did not end within 5 s", failure.Message, StringComparison.Ordinal);
        Assert.Empty(Alive(group));
        Assert.True(failure.Message.Length < 1000, "a flood went into the message");
    }

    [Fact]
    public async Task A_flood_is_read_to_its_end_and_kept_up_to_64_KiB()
    {
        string program = Script("flood", "head -c 20000000 /dev/zero | tr '\\0' 'x'");
        await using ProgramProcess process = ProgramProcess.Start(program, [], new Dictionary<string, string>(), TimeProvider.System);
        ProgramEnd end = await process.WaitAsync(Token);
        Assert.Equal((0, ProgramProcess.MostOutput), (end.ExitCode, end.Output.Length));
    }

    [Fact]
    public async Task What_a_command_leaves_behind_in_its_group_ends_with_it()
    {
        string program = Script("leaves", $"echo $$ > {_directory["group"]}\nsleep 1000 &\nexit 0");
        await New(program, null, null).BeforeSnapshotAsync(Token);
        Assert.Empty(Alive((await File.ReadAllTextAsync(_directory["group"], Token)).Trim()));
    }

    [Fact]
    public async Task Names_with_shell_characters_reach_a_command_as_they_are_and_start_nothing()
    {
        const string Evil = "a b;touch /tmp/quench-evil`touch evil`$(touch evil)\n'\"|&>evil\\";
        string program = Script("shows", $"printf %s \"$QUENCH_VOLUME_1_NAME\" > '{_directory["name"]}'");
        BackupCommands commands = new(program, null, null, [new OperationVolume(Evil, Evil, Evil)], "filter", TimeProvider.System);
        await commands.BeforeSnapshotAsync(Token);
        Assert.Equal(Evil, await File.ReadAllTextAsync(_directory["name"], Token));
        Assert.False(File.Exists("/tmp/quench-evil"));
        Assert.False(File.Exists("/evil"));
    }

    [Fact]
    public async Task A_command_sees_no_variable_of_ours_but_those_that_are_documented()
    {
        string program = Script("env", $"env > '{_directory["env"]}'");
        Environment.SetEnvironmentVariable("QUENCH_TEST_SECRET", "secret");
        await New(program, null, null).BeforeSnapshotAsync(Token);
        string[] names = [.. (await File.ReadAllLinesAsync(_directory["env"], Token)).Select(line => line.Split('=')[0]).Where(name => name is not ("PWD" or "SHLVL" or "_")).Order(StringComparer.Ordinal)];
        Assert.Equal(
            [
                "HOME", "LANG", "PATH", "QUENCH_ERROR", "QUENCH_GRADE", "QUENCH_MOMENT", "QUENCH_OPERATION", "QUENCH_POINT", "QUENCH_PROVIDER", "QUENCH_STATUS",
                "QUENCH_VOLUME_1_DEVICE", "QUENCH_VOLUME_1_MOUNT_POINT", "QUENCH_VOLUME_1_NAME", "QUENCH_VOLUME_COUNT",
            ],
            names);
    }

    [Fact]
    public void What_somebody_else_could_have_put_there_is_not_started()
    {
        string program = Script("open", "exit 0");
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.OtherWrite);
        Assert.Contains("can be written by others", Refused(program), StringComparison.Ordinal);
        string folder = Directory.CreateDirectory(_directory["writable"]).FullName;
        string inside = Path.Combine(folder, "program");
        File.WriteAllText(inside, "#!/bin/sh\n");
        File.SetUnixFileMode(inside, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupWrite);
        Assert.Contains("can be written by others", Refused(inside), StringComparison.Ordinal);
        File.CreateSymbolicLink(_directory["link"], inside);
        Assert.Contains("can be written by others", Refused(_directory["link"]), StringComparison.Ordinal);
        Assert.Contains("absolute", Refused("program"), StringComparison.Ordinal);
        Assert.Contains("not there", Refused("/nowhere/at/all"), StringComparison.Ordinal);
        Assert.Contains("not a file", Refused("/etc"), StringComparison.Ordinal);
        Assert.Contains("not executable", Refused("/etc/passwd"), StringComparison.Ordinal);
        File.CreateSymbolicLink(_directory["circle"], _directory["circle"]);
        Assert.Contains("circle", Refused(_directory["circle"]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_no_program_is_said_to_be_none_and_no_shell_is_tried()
    {
        string program = _directory["no-program"];
        await File.WriteAllTextAsync(program, "touch '" + _directory["evil"] + "'\n", Token);
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(() => New(program, null, null).BeforeSnapshotAsync(Token));
        Assert.Contains("could not be started", failure.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_directory["evil"]));
    }

    private static string Refused(string path) => Assert.Throws<QuenchException>(() => New(path, null, null)).Message;

    private static BackupCommands New(string? before, string? after, string? end, TimeSpan? limit = null, TimeProvider? clock = null) =>
        new(before, after, end, [new OperationVolume("sda1", "/dev/sda1", "/srv")], "filter", clock ?? TimeProvider.System) { Limit = limit ?? TimeSpan.FromSeconds(20) };

    /// <summary>Waits until a script has written down its group.</summary>
    private async Task BegunAsync(Task running)
    {
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(5));
        while (!File.Exists(_directory["group"]))
        {
            Assert.False(running.IsCompleted, "it has ended before it began");
            await look.WaitForNextTickAsync(Token);
        }
    }

    private string Logs(string name, int code) => Script(name, $"echo {name} $QUENCH_STATUS >> '{_directory["log"]}'\nexit {code}");

    private string Script(string name, string body)
    {
        string path = _directory[name + ".sh"];
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return path;
    }

    /// <summary>The processes of a group that have not ended: those that nobody has reaped yet do not count.</summary>
    private static string[] Alive(string group) =>
        [.. Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(Path.GetFileName(path)[0])).Select(StatOf).OfType<string>()
            .Where(stat => stat[(stat.LastIndexOf(')') + 2)..].Split(' ') is { Length: > 2 } fields && fields[2] == group && fields[0] != "Z")];

    private static string? StatOf(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "stat"));
        }
        catch (IOException)
        {
            return null; // it has ended meanwhile
        }
    }
}
