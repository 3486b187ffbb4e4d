using System.Text.Json;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A real application's view: a database that commits throughout a hot backup is whole in the image, with all that was committed before.</summary>
public sealed class SqliteTests : IDisposable
{
    private readonly TempFolder _folder = new("sqlite");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("delete")]
    [InlineData("wal")]
    public async Task A_database_that_commits_during_the_backup_is_whole_in_the_image(string journal)
    {
        Requires.LiveVolumes();
        Requires.Tool("sqlite3");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 128L << 20);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        using SqliteWriter writer = SqliteWriter.Start(Path.Combine(volume.MountPoint, "ledger.db"), journal);
        await writer.MoreAsync(50);

        long committedBefore = writer.Committed;
        JsonElement summary = await cli.BackupAsync(volume.Name);
        await writer.MoreAsync(1);
        long committedAfter = writer.Committed;
        writer.Stop();

        await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, _folder["image"], "--yes");
        await RestoredImage.DemandCleanAsync(_folder["image"], VolumeKind.Ext4);
        long inImage = await ReadBackAsync();
        Assert.InRange(inImage, committedBefore, committedAfter);
        Figures.Say($"sqlite, journal {journal}: {inImage} transactions in the image, of [{committedBefore}, {committedAfter}]");
    }

    /// <summary>Opens the image's database as an application would after a power cut: on a mount that may be written.</summary>
    private async Task<long> ReadBackAsync()
    {
        string mountPoint = _folder.MakeFolder("image-mount");
        await Tool.RunAsync("mount", "-o", "loop", _folder["image"], mountPoint);
        try
        {
            return await SqliteWriter.CountWholeAsync(Path.Combine(mountPoint, "ledger.db"));
        }
        finally
        {
            await Tool.RunAsync("umount", mountPoint);
        }
    }
}
