using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Quench.Imaging.Activity.Writers;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Tracked;
using Xunit;

namespace Quench.SystemTests.Activity;

/// <summary>quench activity as a process: what it says of a load that is known, and that nothing of it stays.</summary>
public sealed class ActivityCommandTests
{
    private const long Length = 128L << 20;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task It_names_process_file_and_bytes_and_its_log_says_the_same_later()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, Length);
        string log = Path.Combine(loop.Scratch, "log");
        string picture = Path.Combine(loop.Scratch, "picture.svg");
        using WatchRun watch = await WatchRun.StartAsync(loop.MountPoint, "--json", "--log", log, "--picture", picture);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop.MountPoint}/known.bin", "bs=64k", "count=48", "conv=fsync");
        JsonElement summary = await watch.InterruptAsync();
        DemandKnown(summary);
        Assert.Equal(0, summary.GetProperty("losses").GetProperty("events").GetInt64());
        Assert.True(File.Exists(picture));
        ProcessResult again = await new QuenchCli().RunAsync("activity", "--from", log, "--json");
        DemandKnown(JsonDocument.Parse(again.Output).RootElement);
    }

    [Fact]
    public async Task A_watch_that_is_killed_leaves_nothing_in_the_kernel_and_a_log_that_can_be_read()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, Length);
        string log = Path.Combine(loop.Scratch, "log");
        using WatchRun watch = await WatchRun.StartAsync(loop.MountPoint, "--log", log);
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop.MountPoint}/known.bin", "bs=64k", "count=48", "conv=fsync");
        IReadOnlyList<int> programs = LoadedPrograms.Of(watch.Id);
        Assert.Equal((2, 2), (programs.Count, LoadedPrograms.Count(programs)));
        await Wait.UntilAsync(() => Logged(log) == 3 << 20, s_limit, "the log has what was written");
        watch.Kill();
        await Wait.UntilAsync(() => LoadedPrograms.Count(programs) == 0, s_limit, "the programs are gone");
        ProcessResult summary = await new QuenchCli().RunAsync("activity", "--from", log, "--json");
        DemandKnown(JsonDocument.Parse(summary.Output).RootElement);
    }

    [Fact]
    public async Task A_backup_says_who_wrote_meanwhile_when_it_is_asked()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, Length);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(loop.Scratch, "vault"));
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={loop.MountPoint}/known.bin", "bs=64k", "count=48"); // not written out: the backup's own flush sends it
        JsonElement summary = await cli.BackupAsync(loop.Device, "--who-wrote", "--no-track");
        JsonElement writers = summary.GetProperty("who_wrote");
        Assert.Equal(0, writers.GetProperty("losses").GetProperty("events").GetInt64());
        Assert.True(writers.GetProperty("written_bytes").GetInt64() >= 3 << 20);
        Assert.Equal(JsonValueKind.Null, (await cli.BackupAsync(loop.Device, "--no-track")).GetProperty("who_wrote").ValueKind);
    }

    private static long Logged(string log)
    {
        ActivityTally tally = new();
        ActivityLogReader.Read(log, tally);
        return tally.Summarise(TimeZoneInfo.Utc).Files.Where(file => file.File.Path == "/known.bin").Sum(file => file.Bytes);
    }

    private static void DemandKnown(JsonElement summary)
    {
        JsonElement file = summary.GetProperty("files").EnumerateArray().Single(file => file.GetProperty("path").GetString() == "/known.bin");
        Assert.Equal(3 << 20, file.GetProperty("bytes").GetInt64());
        Assert.Equal("dd", Assert.Single(file.GetProperty("processes").EnumerateArray()).GetString());
        Assert.Equal(3 << 20, summary.GetProperty("processes").EnumerateArray().Single(process => process.GetProperty("name").GetString() == "dd").GetProperty("bytes").GetInt64());
    }

    /// <summary>quench activity at work; ended by id.</summary>
    private sealed class WatchRun : IDisposable
    {
        private readonly Process _process;
        private readonly Task<string> _output;

        private WatchRun(Process process)
        {
            _process = process;
            _output = process.StandardOutput.ReadToEndAsync();
        }

        public int Id => _process.Id;

        public static async Task<WatchRun> StartAsync(string volume, params string[] options)
        {
            ProcessStartInfo start = new QuenchCli().StartInfo(["activity", volume, .. options]);
            (start.UseShellExecute, start.RedirectStandardOutput, start.RedirectStandardError) = (false, true, true);
            WatchRun run = new(Process.Start(start)!);
            try
            {
                string? first = await run._process.StandardError.ReadLineAsync().WaitAsync(s_limit);
                Assert.StartsWith("watching ", first, StringComparison.Ordinal);
                return run;
            }
            catch
            {
                run.Dispose();
                throw;
            }
        }

        public async Task<JsonElement> InterruptAsync()
        {
            await Tool.RunAsync("kill", "-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)); // SIGINT is ignored by what a shell started in the background
            await _process.WaitForExitAsync().WaitAsync(s_limit);
            Assert.Equal(0, _process.ExitCode);
            return JsonDocument.Parse((await _output).TrimEnd('\n').Split('\n')[^1]).RootElement.Clone();
        }

        public void Kill()
        {
            _process.Kill();
            _process.WaitForExit();
        }

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                Kill();
            }

            _process.Dispose();
        }
    }
}
