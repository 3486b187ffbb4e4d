using System.Diagnostics;
using System.Net.Sockets;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Remote;
using Quench.Tests.Architecture;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination;

/// <summary>Writers in other processes: the worked example, started and registered, and others that misbehave.</summary>
public sealed class LineWriterTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("python3", "Counter", false)]
    [InlineData("python3", "Counter", true)]
    [InlineData("dotnet", "Lock", false)]
    [InlineData("dotnet", "Lock", true)]
    public async Task The_worked_examples_are_found_and_hold_and_let_go(string language, string name, bool asService)
    {
        Requires.Tool(language);
        string data = Directory.CreateDirectory(_directory["data"]).FullName;
        using Process? service = asService ? await ServeAsync(language, data) : null;
        try
        {
            IWriterSource source = asService ? new RegisteredWriters(_directory["sockets"]) : new ProgramWriters(Install(data, language));
            await using WriterCoordination coordination = Coordinate(source);
            await coordination.HoldAsync(Token);
            Assert.False(await CanWriteAsync(data), "the application could write while it was frozen");
            Assert.Equal(InstantVerdict.Keep, await coordination.LetGoAsync(taken: true));
            Assert.True(await CanWriteAsync(data));
            WriterReport report = Assert.Single(await coordination.SettleAsync(Token));
            Assert.True(report.IsConsistent, report.Message);
            Assert.Equal((name, data), (report.Identity.Name, report.Metadata!.Components[0].Files[0].Folder));
            Assert.Equal(WriterState.Stable, Assert.Single(await coordination.CompleteAsync(Guid.NewGuid(), Token)).State);
        }
        finally
        {
            service?.Kill();
        }
    }

    [Fact]
    public async Task The_worked_example_lets_go_by_itself_at_the_limit_and_says_so()
    {
        Requires.Tool("python3");
        string data = Directory.CreateDirectory(_directory["data"]).FullName;
        await using LineWriter writer = new(new ProgramConnection(Path.Combine(Install(data), "counter")));
        await writer.IdentifyAsync(Token);
        await writer.PrepareBackupAsync(new BackupOperation { SetId = Guid.NewGuid(), Volumes = [], HoldLimit = TimeSpan.FromMilliseconds(300) }, Token);
        await writer.PrepareSnapshotAsync(Token);
        await writer.FreezeAsync(Token);
        (int code, _) = await Tool.RunAsync("flock", "--timeout", "10", Path.Combine(data, "lock"), "true"); // waits until it has let go
        Assert.Equal(0, code);
        Assert.False((await writer.ThawAsync(Token)).IsHeld);
    }

    [Theory]
    [InlineData("echo 'no JSON'; cat", "no answer of the writer protocol")]
    [InlineData("echo '{\"call\":99,\"ok\":true}'; cat", "what it had not been asked")]
    [InlineData("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do echo '{\"call\":0,\"ok\":true}'; done; cat >/dev/null", "more than 16 answers")]
    [InlineData("head -c 3000000 /dev/zero | tr '\\0' 'x'; cat", "a line of more than")]
    [InlineData("echo dying of hunger >&2; exit 9", "exit code 9; the last it said: dying of hunger")]
    [InlineData("kill -9 $$", "it was killed")]
    [InlineData("read line; echo '{\"call\":1,\"ok\":true}'; cat >/dev/null", "it did not say who it is")]
    [InlineData("read line; echo '{\"call\":1,\"ok\":true,\"writer\":{\"id\":\"b3f6a4de-55c3-4d2c-8f0e-0f7d6a1c9e42\",\"name\":\"a/b\"}}'; cat >/dev/null", "a name is missing")]
    [InlineData("read line; echo '{\"call\":1,\"ok\":false,\"error\":\"retryable\",\"message\":\"not today\"}'; cat >/dev/null", "not today")]
    public async Task A_program_that_misbehaves_is_reported_and_ends(string body, string why)
    {
        string folder = Folder("writers");
        Script(Path.Combine(folder, "bad"), $"echo $$ > {_directory["group"]}\n{body}");
        WriterReport report;
        await using (WriterCoordination coordination = Coordinate(new ProgramWriters(folder)))
        {
            report = Assert.Single(await coordination.IdentifyAsync(Token));
        }

        Assert.Equal(WriterState.FailedAtIdentify, report.State);
        Assert.Contains(why, report.Message, StringComparison.Ordinal);
        string group = (await File.ReadAllTextAsync(_directory["group"], Token)).Trim();
        Assert.False(Directory.Exists($"/proc/{group}"), "it is still there");
    }

    [Fact]
    public async Task A_folder_that_others_may_write_to_is_not_looked_into()
    {
        string folder = Folder("writers");
        Script(Path.Combine(folder, "evil"), $"touch {_directory["evil"]}");
        File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherWrite);
        await using WriterCoordination coordination = Coordinate(new ProgramWriters(folder));
        WriterReport report = Assert.Single(await coordination.IdentifyAsync(Token));
        Assert.Contains("can be written by others", report.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_directory["evil"]));
    }

    [Fact]
    public async Task A_socket_that_nobody_listens_at_is_a_writer_that_does_not_respond()
    {
        string folder = Folder("sockets");
        using (Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            listener.Bind(new UnixDomainSocketEndPoint(Path.Combine(folder, "gone.sock")));
        }

        if (!File.Exists(Path.Combine(folder, "gone.sock")))
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "gone.sock"), "", Token); // the socket class removes it when it is closed
        }

        await using WriterCoordination coordination = Coordinate(new RegisteredWriters(folder));
        WriterReport report = Assert.Single(await coordination.IdentifyAsync(Token));
        Assert.Equal((WriterState.FailedAtIdentify, WriterError.NotResponding), (report.State, report.Error));
    }

    [Fact]
    public async Task What_is_hung_up_on_while_it_is_opened_is_closed_after_that_and_never_opened_again()
    {
        SlowDoor door = new();
        LineWriter writer = new(door);
        Task identifying = writer.IdentifyAsync(Token).AsTask();
        await door.IsOpening.Task.WaitAsync(Token);
        Task closing = writer.DisposeAsync().AsTask();
        door.MayOpen.SetResult();

        await closing.WaitAsync(TimeSpan.FromSeconds(10), Token);
        await Assert.ThrowsAsync<WriterException>(() => identifying);
        await Assert.ThrowsAsync<WriterException>(async () => await writer.IdentifyAsync(Token));

        Assert.Equal(["opened", "closed"], door.History);
    }

    private static WriterCoordination Coordinate(IWriterSource source) => new(
        new CoordinationOptions
        {
            Volumes = [new OperationVolume("tmp", "/dev/none", Path.GetTempPath())],
            Sources = [source],
            Limits = new CoordinationLimits { Call = TimeSpan.FromSeconds(20) },
            Retries = 0,
        },
        TimeProvider.System);

    private static async Task<bool> CanWriteAsync(string data) =>
        (await Tool.RunAsync("flock", "--nonblock", Path.Combine(data, "lock"), "true")).ExitCode == 0;

    private string Folder(string name) => Directory.CreateDirectory(_directory[name]).FullName;

    private static void Script(string path, string body)
    {
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
    }

    /// <summary>Where an example lies.</summary>
    private static string ExampleIn(string language) =>
        language == "dotnet"
            ? Path.Combine(AppContext.BaseDirectory, "..", "..", "LockWriter", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "LockWriter.dll")
            : Path.Combine(Repository.Root, "examples", "writers", "counter_writer.py");

    /// <summary>Installs an example as a program: its folder of data stands in the file beside it, or in the script that starts it.</summary>
    private string Install(string data, string language = "python3")
    {
        string folder = Folder("writers");
        string program = Path.Combine(folder, "counter");
        if (language == "dotnet")
        {
            Script(program, $"LOCK_FOLDER='{data}' exec dotnet '{Path.GetFullPath(ExampleIn(language))}'");
            return folder;
        }

        File.Copy(ExampleIn(language), program);
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        File.WriteAllText(Path.Combine(folder, ".counter.conf"), data);
        return folder;
    }

    private async Task<Process> ServeAsync(string language, string data)
    {
        string socket = Path.Combine(Folder("sockets"), "counter.sock");
        ProcessStartInfo start = new(language) { UseShellExecute = false };
        start.ArgumentList.Add(ExampleIn(language));
        start.ArgumentList.Add("--socket");
        start.ArgumentList.Add(socket);
        start.Environment["COUNTER_FOLDER"] = start.Environment["LOCK_FOLDER"] = data;
        Process service = Process.Start(start)!;
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(20));
        while (true)
        {
            using Socket attempt = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await attempt.ConnectAsync(new UnixDomainSocketEndPoint(socket), limit.Token);
                return service;
            }
            catch (SocketException)
            {
                await Task.Yield(); // it is still coming up
            }
        }
    }

    /// <summary>A connection that takes its time to open, and whose other end says something wrong before it is open.</summary>
    private sealed class SlowDoor : ILineConnection
    {
        public TaskCompletionSource IsOpening { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource MayOpen { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public List<string> History { get; } = [];

        public string Name => "slow";

        public async Task OpenAsync(Func<ReadOnlyMemory<byte>, bool> takes, Action<string> lost, CancellationToken cancellationToken)
        {
            takes("no JSON\n"u8.ToArray());
            IsOpening.TrySetResult();
            await MayOpen.Task;
            History.Add("opened");
        }

        public Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => Task.CompletedTask;

        public ValueTask DisposeAsync()
        {
            History.Add("closed");
            return ValueTask.CompletedTask;
        }
    }
}
