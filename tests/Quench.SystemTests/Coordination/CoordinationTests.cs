using System.Text.Json;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Tracked;
using Xunit;

namespace Quench.SystemTests.Coordination;

/// <summary>Whole backups with a writer and with the user's commands: what is sealed into the point is what happened.</summary>
public sealed class CoordinationTests
{
    private const long Length = 64L << 20;

    [Fact]
    public async Task A_writer_that_held_makes_the_point_application_consistent_and_what_it_said_is_in_it()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3");
        using TempFolder folder = new("coordination");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        WriterProgram writer = new(folder, Path.Combine(volume.MountPoint, "data"));
        JsonElement summary = await cli.BackupAsync(volume.Name, "--writer-folder", writer.Folder, "--require", "application");
        Assert.Equal("application", summary.GetProperty("grade").GetString());
        Assert.True(await writer.IsFreeAsync());
        string point = summary.GetProperty("point").GetString()!;
        ProcessResult shown = await cli.RunAsync("show", point, "--json");
        JsonElement sealedWriter = JsonDocument.Parse(shown.Output).RootElement.GetProperty("coordination").GetProperty("writers")[0];
        Assert.Equal(("Test", true, 5), (sealedWriter.GetProperty("name").GetString(), sealedWriter.GetProperty("consistent").GetBoolean(), sealedWriter.GetProperty("state").GetInt32()));
        Assert.Equal(("files", "application"), (Component(sealedWriter, "name"), Component(sealedWriter, "grade")));
        Assert.True(sealedWriter.GetProperty("held_ms").GetDouble() >= summary.GetProperty("freeze_ms").GetDouble());
        ProcessResult documents = await cli.RunAsync("show", point, "--documents");
        Assert.Contains("from the writer", documents.Output, StringComparison.Ordinal);
        Assert.Contains("urn:quench:writer-metadata:1", documents.Output, StringComparison.Ordinal);
        Assert.Contains("Test: consistent", (await cli.RunAsync("show", point)).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("late", "if event == 'freeze': time.sleep(60)", "Timed out")]
    [InlineData("refuses", "if event == 'freeze': raise Failed('the queue is full')", "the queue is full")]
    [InlineData("dies", "if event == 'thaw': os._exit(3)", "exit code 3")]
    [InlineData("forgets", "if event == 'post-snapshot': raise Failed('no label')", "no label")]
    public async Task A_writer_that_fails_lowers_the_grade_and_require_refuses_with_3(string name, string twist, string why)
    {
        Requires.LiveVolumes();
        Requires.Tool("python3");
        using TempFolder folder = new("coordination-" + name);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        WriterProgram writer = new(folder, Path.Combine(volume.MountPoint, "data"), twist);
        ProcessResult result = await cli.TryRunAsync(
            "backup", volume.Name, "--writer-folder", writer.Folder, "--require", "application", "--writer-limit", "2", "--provider-limit", "1");
        Assert.True(result.ExitCode == 3, result.ToString());
        Assert.Contains("file-system grade", result.Error, StringComparison.Ordinal);
        Assert.Contains(why, result.Error, StringComparison.Ordinal);
        Assert.True(await writer.IsFreeAsync());
        Assert.Equal(1, await cli.CountPointsAsync());
    }

    [Fact]
    public async Task A_mounted_device_is_imaged_with_its_writer_held_at_its_end()
    {
        Requires.Tool("python3");
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("coordination");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        WriterProgram writer = new(folder, Path.Combine(loop.MountPoint, "data"));
        JsonElement summary = await cli.BackupAsync(loop.MountPoint, "--writer-folder", writer.Folder);
        Assert.Equal(("tracked", "application"), (summary.GetProperty("provider").GetString(), summary.GetProperty("grade").GetString()));
    }

    [Fact]
    public async Task An_application_on_two_volumes_is_whole_when_both_have_one_instant()
    {
        Requires.Tool("python3");
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, Length);
        await using MountedLoop other = await MountedLoop.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("coordination");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        WriterProgram writer = new(folder, Path.Combine(loop.MountPoint, "data"), alsoIn: Directory.CreateDirectory(Path.Combine(other.MountPoint, "more")).FullName);
        JsonElement both = await cli.BackupAsync(loop.MountPoint, other.MountPoint, "--writer-folder", writer.Folder);
        Assert.Equal(["application", "application"], both.GetProperty("volumes").EnumerateArray().Select(volume => volume.GetProperty("grade").GetString()));
        Assert.True(await writer.IsFreeAsync());

        JsonElement half = await cli.BackupAsync(loop.MountPoint, "--writer-folder", writer.Folder);
        Assert.Equal("file-system", half.GetProperty("grade").GetString());
    }

    [Fact]
    public async Task No_freeze_asks_no_writer_and_is_of_crash_grade()
    {
        Requires.LiveVolumes();
        using TempFolder folder = new("coordination");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        WriterProgram writer = new(folder, Path.Combine(volume.MountPoint, "data"));
        JsonElement summary = await cli.BackupAsync(volume.Name, "--writer-folder", writer.Folder, "--no-freeze");
        Assert.Equal("crash", summary.GetProperty("grade").GetString());
        Assert.False(File.Exists(writer.Mark));
    }

    /// <summary>Exit code of the first command, and whether the diff area is refused so that there is no snapshot: what runs and what it is told.</summary>
    [Theory]
    [InlineData(0, true, "before ok|after ok|end ok")]
    [InlineData(3, true, "before ok|after failed|end failed")]
    [InlineData(0, false, "before ok|after failed|end failed")]
    public async Task The_three_commands_run_as_the_flow_chart_says(int firstCode, bool snapshotWorks, string expected)
    {
        Requires.LiveVolumes();
        using TempFolder folder = new("commands");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        string log = folder["log"];
        string Program(string name, int code, string more = "")
        {
            string path = folder[name];
            File.WriteAllText(path, $"#!/bin/sh\necho {name} $QUENCH_STATUS >> '{log}'\n{more}\nexit {code}\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            return path;
        }

        // A file system that somebody else has frozen meanwhile can't be frozen: there is no snapshot, and it is the first command that can make it so.
        string before = Program("before", firstCode, snapshotWorks ? "" : $"fsfreeze -f '{volume.MountPoint}'");
        string after = Program("after", 0, snapshotWorks ? "" : $"fsfreeze -u '{volume.MountPoint}'");
        ProcessResult result = await cli.TryRunAsync(
            "backup", volume.Name, "--no-writers", "--before-snapshot", before, "--after-snapshot", after, "--after-backup", Program("end", 0));
        bool works = firstCode == 0 && snapshotWorks;
        Assert.True(result.ExitCode == (works ? 0 : 1), result.ToString());
        Assert.Equal(expected, string.Join('|', await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken)));
        Assert.Equal(works ? 1 : 0, await cli.CountPointsAsync());
    }

    private static string? Component(JsonElement writer, string field) => writer.GetProperty("components")[0].GetProperty(field).GetString();
}
