using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>
/// A mounted volume with a file on it, and a whole `quench backup` of it that is stopped in the middle of its first pass: what is done then happens between two of its looks at the tracker.
/// </summary>
internal sealed class StoppedBackup : IAsyncDisposable
{
    internal const long FileSystemLength = 256L << 20;
    internal const long DeviceLength = 320L << 20; // behind the file system there is room to discard without harm

    private const string FileName = "file";
    private const int FileBytes = 112 << 20;
    private const long StoredWhenStopped = 8L << 20;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly TempFolder _folder = new("stopped");
    private readonly byte[] _content;

    private StoppedBackup(MountedLoop loop, QuenchCli cli, int fileBytes) => (Loop, Cli, _content) = (loop, cli, RandomNumberGenerator.GetBytes(fileBytes));

    internal MountedLoop Loop { get; }

    internal QuenchCli Cli { get; private set; }

    /// <summary>Makes the volume and its file.</summary>
    /// <param name="fileBytes">Bytes of the file; fewer are soon backed up, where nothing has to be met in the middle.</param>
    internal static async Task<StoppedBackup> PrepareAsync(int fileBytes = FileBytes)
    {
        MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, DeviceLength, fileSystemLength: FileSystemLength);
        StoppedBackup stopped = new(loop, new QuenchCli(), fileBytes);
        try
        {
            stopped.Cli = await QuenchCli.WithNewVaultAsync(stopped._folder["vault"]);
            await File.WriteAllBytesAsync(Path.Combine(loop.MountPoint, FileName), stopped._content);
            await Tool.RunAsync("sync", "-f", loop.MountPoint);
            return stopped;
        }
        catch
        {
            await stopped.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a backup, stops it in its first pass, does something, lets it go on to its end.</summary>
    internal async Task<ProcessResult> RunAsync(Func<ProcessRun, Task> meanwhile)
    {
        using ProcessRun run = Cli.Start("backup", Loop.MountPoint, "--json", "--compression", "smallest"); // slow enough to be met
        await Wait.UntilAsync(() => run.HasExited || Stored() > StoredWhenStopped, s_limit, "the backup stores");
        await SignalAsync(run, "STOP");
        Assert.False(run.HasExited, "the backup had ended before it could be stopped");
        await meanwhile(run);
        await SignalAsync(run, "CONT");
        return await run.EndAsync(s_limit);
    }

    /// <summary>Runs a backup with a test point.</summary>
    internal async Task<ProcessResult> RunWithTestPointAsync(string point)
    {
        ProcessStartInfo start = Cli.StartInfo(["backup", Loop.MountPoint, "--json"]);
        start.ArgumentList[0] = QuenchCli.ProgramWithTestPoints;
        start.Environment["QUENCH_TEST_TRACKER"] = point;
        using ProcessRun run = ProcessRun.Start(start);
        return await run.EndAsync(s_limit);
    }

    /// <summary>Demands that a backup was made all the same, that its report says why everything was read again, and that its image is right.</summary>
    internal async Task DemandNoticedAsync(ProcessResult result, string words)
    {
        Assert.True(result.ExitCode == 0, result.ToString());
        using JsonDocument summary = JsonDocument.Parse(result.Output.TrimEnd('\n').Split('\n')[^1]);
        Assert.Equal("full", summary.RootElement.GetProperty("scan").GetString());
        Assert.Contains(words, summary.RootElement.GetProperty("scan_reason").GetString(), StringComparison.Ordinal);
        await DemandImageAsync(summary.RootElement.GetProperty("point").GetString()!);
    }

    /// <summary>Demands that nothing was stored, and that the volume works and can be backed up.</summary>
    internal async Task DemandNoPointAsync(ProcessResult result, string? code)
    {
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(code is null ? "" : $"code: {code}", result.Error, StringComparison.Ordinal);
        Assert.Equal(0, await Cli.CountPointsAsync());
        VolumeLife.WriteThrough(Loop.MountPoint);
        JsonElement summary = await Cli.BackupAsync(Loop.MountPoint);
        await DemandImageAsync(summary.GetProperty("point").GetString()!);
    }

    /// <summary>Demands that a point's file is the one on the volume, and its file system sound.</summary>
    internal async Task DemandImageAsync(string point)
    {
        string image = Path.Combine(Loop.Scratch, "image");
        File.Delete(image);
        await Cli.RunAsync("restore", point, image, "--yes");
        await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
        await using RestoredImage inside = await RestoredImage.MountAsync(image, VolumeKind.Ext4, Directory.CreateDirectory(Path.Combine(Loop.Scratch, "image-mount")).FullName);
        Assert.Equal(SHA256.HashData(_content), SHA256.HashData(await File.ReadAllBytesAsync(inside[FileName])));
    }

    /// <summary>Writes over a part of the file, here and on the volume.</summary>
    internal async Task ChangeAsync(int at, int length)
    {
        RandomNumberGenerator.Fill(_content.AsSpan(at, length));
        await using (FileStream file = new(Path.Combine(Loop.MountPoint, FileName), FileMode.Open, FileAccess.Write))
        {
            file.Position = at;
            await file.WriteAsync(_content.AsMemory(at, length));
        }

        await Tool.RunAsync("sync", "-f", Loop.MountPoint);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Loop.DisposeAsync();
        _folder.Dispose();
    }

    internal static Task SignalAsync(ProcessRun run, string signal) => Tool.TryRunAsync("kill", $"-{signal}", run.Id.ToString(CultureInfo.InvariantCulture));

    private long Stored() => Directory.EnumerateFiles(_folder["vault"], "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file) is { Exists: true } there ? there.Length : 0);
}
