using System.Text.Json;
using Quench.Interop.Linux;
using Quench.SystemTests.Coordination;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>One application's files out of a point, put back the way its writer says: real servers, real file systems, the command line.</summary>
public sealed class ComponentRestoreTests
{
    private const long Small = 64L << 20;
    private const long ForServers = 640L << 20;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("PostgreSQL")]
    [InlineData("Redis")]
    public async Task A_server_starts_from_its_restored_files_with_what_a_restore_of_the_volume_would_have(string name)
    {
        Requires.LiveVolumes();
        Requires.Tool("setpriv");
        using TempFolder folder = new("component");
        ServersOnOneVolume.OpenToAll(folder.Path);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, ForServers);
        ServersOnOneVolume.OpenToAll(Path.GetDirectoryName(volume.MountPoint)!);
        await using TestServer server = MakeServer(name, Path.Combine(volume.MountPoint, "data"), folder["run"]);
        await server.MakeAsync();
        await server.StartAsync();
        await server.MakeTablesAsync();
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LedgerLoad load = await LedgerLoad.StartAsync(server);
        await load.MoreAsync(20);
        await cli.BackupAsync(volume.Name, "--components", name, "--require", "application");
        await load.MoreAsync(5);
        await load.StopAsync();
        IReadOnlyList<(int, long)> expected = await OfWholeVolumeAsync(cli, server, volume);

        // While it runs it is refused, and everything goes on as it was.
        IReadOnlyList<(int, long)> live = await server.ReadAsync();
        ProcessResult refusal = await cli.RefusedAsync(11, "RST-135", "restore", "latest", "--component", name, "--yes");
        Assert.Contains("stop it first", refusal.Error, StringComparison.Ordinal);
        Assert.Equal(live.Order(), (await server.ReadAsync()).Order());

        await server.ClearAsync();
        await server.StopAsync();
        string lost = Directory.GetFiles(server.Data, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).First();
        File.Delete(lost);
        ProcessResult dry = await cli.RunAsync("restore", "latest", "--component", name, "--dry-run", "--json");
        Assert.Equal("plan", JsonDocument.Parse(dry.Output).RootElement.GetProperty("message_type").GetString());
        Assert.False(File.Exists(lost));
        JsonElement summary = Summary(await cli.RunAsync("restore", "latest", "--component", name, "--yes", "--json"));
        Assert.NotEmpty(summary.GetProperty("kept").EnumerateArray());
        await server.CheckFilesAsync();
        await server.StartAsync();
        await server.CheckAsync();
        Assert.Equal(expected.Order(), (await server.ReadAsync()).Order());
        await server.StopAsync();
        await DemandNothingLeftAsync(volume.MountPoint);
    }

    [Theory]
    [InlineData("Ext4")]
    [InlineData("Xfs")]
    [InlineData("Btrfs")]
    public async Task Files_come_back_with_all_that_belongs_to_them_from_each_file_system(string kindName)
    {
        VolumeKind kind = Enum.Parse<VolumeKind>(kindName);
        Requires.LiveVolumes();
        Requires.Tool("python3");
        Requires.Tool(kind switch { VolumeKind.Xfs => "mkfs.xfs", VolumeKind.Btrfs => "mkfs.btrfs", _ => "mkfs.ext4" });
        using TempFolder folder = new("component");
        await using LiveVolume volume = await LiveVolume.CreateAsync(kind, kind == VolumeKind.Ext4 ? Small : 320L << 20);
        string data = Path.Combine(volume.MountPoint, "data");
        string log = folder["log"];
        WriterProgram writer = new(folder, data, LogRestores(log));
        await FillAsync(data);
        string before = await DescribeAsync(data);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await cli.BackupAsync(volume.Name, "--writer-folder", writer.Folder, "--require", "application");
        JsonElement place = JsonDocument.Parse((await cli.RunAsync("show", "latest", "--json")).Output).RootElement
            .GetProperty("coordination").GetProperty("writers")[0].GetProperty("components")[0].GetProperty("places")[0];
        Assert.Equal((data, volume.Name, 0, "/data"), (place.GetProperty("folder").GetString(), place.GetProperty("volume").GetString(), place.GetProperty("offset").GetInt64(), place.GetProperty("path").GetString()));

        // Elsewhere: nobody is asked, nothing else changes.
        string elsewhere = folder["elsewhere"];
        await cli.RunAsync("restore", "latest", "--component", "Test", "--to", elsewhere, "--writer-folder", writer.Folder);
        Assert.Equal(before, await DescribeAsync(elsewhere + data));
        Assert.Equal("from the writer", await File.ReadAllTextAsync(elsewhere + data + "/note", Stop));
        Assert.Equal(before, await DescribeAsync(data));
        Assert.False(File.Exists(log));
        await cli.RefusedAsync(1, "RST-134", "restore", "latest", "--component", "Test/files", "--to", elsewhere, "--yes");

        // In place: what was changed meanwhile is kept beside.
        await File.WriteAllTextAsync(Path.Combine(data, "plain"), "changed", Stop);
        File.Delete(Path.Combine(data, "sub", "linked"));
        await File.WriteAllTextAsync(Path.Combine(data, "newer"), "newer", Stop);
        JsonElement summary = Summary(await cli.RunAsync("restore", "latest", "--component", "Test/files", "--yes", "--json", "--writer-folder", writer.Folder));
        string kept = summary.GetProperty("kept")[0].GetProperty("path").GetString()!;
        Assert.Equal("newer", await File.ReadAllTextAsync(Path.Combine(kept, "newer"), Stop));
        Assert.Equal(before, await DescribeAsync(data));
        Assert.Equal("from the writer", await File.ReadAllTextAsync(Path.Combine(data, "note"), Stop));
        Assert.Equal(["pre-restore None", "post-restore True"], await File.ReadAllLinesAsync(log, Stop));
        await Tool.RunAsync("rm", "-rf", elsewhere); // the base library can't remove a name that is no text
        await DemandNothingLeftAsync(volume.MountPoint);
    }

    [Fact]
    public async Task When_files_can_not_take_their_places_all_is_as_it_was_and_the_writer_is_told()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3", "chattr");
        using TempFolder folder = new("component");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Small);
        string data = Path.Combine(volume.MountPoint, "data");
        string log = folder["log"];
        WriterProgram writer = new(folder, data, LogRestores(log));
        await File.WriteAllTextAsync(Path.Combine(data, "plain"), "then", Stop);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await cli.BackupAsync(volume.Name, "--writer-folder", writer.Folder, "--require", "application");
        await File.WriteAllTextAsync(Path.Combine(data, "plain"), "now", Stop);
        await Tool.RunAsync("chattr", "+i", data);
        try
        {
            await cli.RefusedAsync(1, "RST-139", "restore", "latest", "--component", "Test", "--yes", "--writer-folder", writer.Folder);
        }
        finally
        {
            await Tool.RunAsync("chattr", "-i", data);
        }

        Assert.Equal("now", await File.ReadAllTextAsync(Path.Combine(data, "plain"), Stop));
        Assert.Equal(["pre-restore None", "post-restore False"], await File.ReadAllLinesAsync(log, Stop));
        await DemandNothingLeftAsync(volume.MountPoint);

        // And a writer that does not make way is heard before anything is touched.
        await cli.RefusedAsync(1, "RST-130", "restore", "latest", "--component", "Other", "--yes");
        string program = Path.Combine(writer.Folder, "test-writer");
        string text = await File.ReadAllTextAsync(program, Stop);
        await File.WriteAllTextAsync(program, text.Replace("if event in", "if event == 'pre-restore': raise Failed('not now')\n        if event in", StringComparison.Ordinal), Stop);
        ProcessResult refused = await cli.RefusedAsync(11, "RST-135", "restore", "latest", "--component", "Test", "--yes", "--writer-folder", writer.Folder);
        Assert.Contains("not now", refused.Error, StringComparison.Ordinal);
        await File.WriteAllTextAsync(program, "#!/bin/sh\nexit 3\n", Stop);
        await cli.RefusedAsync(11, "RST-135", "restore", "latest", "--component", "Test", "--yes", "--writer-folder", writer.Folder); // it is there and does not even say who it is
        Assert.Equal("now", await File.ReadAllTextAsync(Path.Combine(data, "plain"), Stop));
    }

    [Fact]
    public async Task A_restore_that_is_killed_leaves_the_files_old_or_new_and_nothing_mounted()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3");
        using TempFolder folder = new("component");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 256L << 20);
        string data = Path.Combine(volume.MountPoint, "data");
        WriterProgram writer = new(folder, data);
        byte[] then = new byte[48 << 20];
        new Random(Chance.Seeds(1).Single()).NextBytes(then);
        await File.WriteAllBytesAsync(Path.Combine(data, "large"), then, Stop);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await cli.BackupAsync(volume.Name, "--writer-folder", writer.Folder, "--require", "application");
        await File.WriteAllTextAsync(Path.Combine(data, "large"), "now", Stop);
        using (ProcessRun restore = cli.Start("restore", "latest", "--component", "Test", "--yes"))
        {
            await Wait.UntilAsync(() => restore.HasExited || Directory.EnumerateDirectories(volume.MountPoint, ".quench-restore-*").Any(), s_limit, "files arrive");
            await Tool.TryRunAsync("kill", "-KILL", restore.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
            await restore.EndAsync(s_limit);
        }

        byte[] found = await File.ReadAllBytesAsync(Path.Combine(data, "large"), Stop);
        Assert.True(found.AsSpan().SequenceEqual("now"u8) || found.AsSpan().SequenceEqual(then), "old or new");
        await DemandNothingInTheKernelAsync();
        await cli.RunAsync("restore", "latest", "--component", "Test", "--yes");
        Assert.True((await File.ReadAllBytesAsync(Path.Combine(data, "large"), Stop)).AsSpan().SequenceEqual(then));
        await DemandNothingLeftAsync(volume.MountPoint);
    }

    private static TestServer MakeServer(string name, string data, string run)
    {
        if (name == "PostgreSQL")
        {
            Assert.SkipUnless(PostgreSqlServer.IsHere, "needs PostgreSQL");
            return new PostgreSqlServer(data, run);
        }

        Requires.Tool("redis-server", "redis-check-aof");
        return new RedisServer(data, run, appends: true);
    }

    /// <summary>What the server has when all of the volume is restored.</summary>
    private static async Task<IReadOnlyList<(int, long)>> OfWholeVolumeAsync(QuenchCli cli, TestServer live, LiveVolume volume)
    {
        await using RestoredCopy copy = await RestoredCopy.MakeAsync(image => cli.RunAsync("restore", "latest", image, "--yes"), [], volume.MountPoint);
        string data = copy.MountPoint + live.Data[volume.MountPoint.Length..];
        File.Delete(Path.Combine(data, "postmaster.pid"));
        await using TestServer server = live.Over(data, copy.RunFolder("run"));
        await server.StartAsync();
        IReadOnlyList<(int, long)> found = await server.ReadAsync();
        await server.StopAsync();
        return found;
    }

    private static string LogRestores(string log) => $"if event in ('pre-restore', 'post-restore'): print(event, call.get('succeeded'), file=open('{log}', 'a'))";

    /// <summary>Whatever a copy may lose.</summary>
    private static async Task FillAsync(string data) => await Tool.RunAsync("sh", "-ec", $"""
        cd '{data}'
        printf then > plain; chmod 4750 plain; chown 1234:5678 plain; touch -d '2001-02-03 04:05:06.123456789' plain
        mkdir sub empty; chown 11:12 sub; chmod 2775 sub
        ln plain sub/linked; ln -s /etc/passwd sub/away; ln -s nowhere "sub/with space"
        truncate -s 8M holes; printf end >> holes
        printf x > "$(printf 'no\377text')"; printf y > "$(printf 'two\nlines')"; printf z > -dash
        python3 -c 'import os, struct
        os.setxattr("plain", "user.colour", b"blue")
        os.setxattr("sub", "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in [(1, 7, 0xFFFFFFFF), (2, 6, 4321), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 5, 0xFFFFFFFF)]))'
        mkfifo pipe; chown 77:78 .; chmod 0751 .
        """);

    /// <summary>Owner, mode, times, links, sizes, storage of the file with holes, content, attributes.</summary>
    private static async Task<string> DescribeAsync(string data) => await Tool.RunAsync("sh", "-ec", $"""
        cd '{data}'
        find . ! -name note ! -path . -printf '%P %y %m %U %G %l\n' | LC_ALL=C sort
        find . ! -name note -type f -printf '%P %s %T@ %n\n' | LC_ALL=C sort
        stat -c '%a %u %g' .
        test "$(stat -c %b holes)" -lt 2000
        find . ! -name note -type f -exec md5sum -- '{"{}"}' + | LC_ALL=C sort
        python3 -c 'import os; print(os.getxattr("plain", "user.colour"), os.getxattr("sub", "system.posix_acl_access").hex())'
        """);

    private static JsonElement Summary(ProcessResult result) => JsonDocument.Parse(result.Output.TrimEnd('\n').Split('\n')[^1]).RootElement;

    private static async Task DemandNothingInTheKernelAsync()
    {
        await Wait.UntilAsync(() => !Mounts.Read().Any(mount => mount.Source == "quench-files"), s_limit, "no mount is left");
        await Wait.UntilAsync(() => !LoopFiles().Any(file => file.Trim() is "/image" or "/image (deleted)"), s_limit, "no loop device is left");
    }

    private static IEnumerable<string> LoopFiles() => Directory.EnumerateDirectories("/sys/block", "loop*")
        .Select(loop => Path.Combine(loop, "loop", "backing_file")).Where(File.Exists).Select(TryRead);

    private static string TryRead(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            return ""; // it went meanwhile
        }
    }

    private static async Task DemandNothingLeftAsync(string mountPoint)
    {
        await DemandNothingInTheKernelAsync();
        Assert.Empty(Directory.EnumerateDirectories(mountPoint, ".quench-restore-*"));
        Assert.DoesNotContain(Directory.EnumerateDirectories(Path.GetTempPath(), "quench-files-*"), folder => !Directory.Exists("/proc/" + Path.GetFileName(folder).Split('-')[2]));
    }
}
