using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>What `quench serve` gives to the clients people have: an attached volume to live on, a point to read or to play with.</summary>
public sealed class ServeTests : IDisposable
{
    private const long Length = 64L << 20;
    private readonly TempFolder _folder = new("serve");

    private string Socket => _folder["nbd.sock"];

    private string Uri => NbdServing.UriOf(Socket);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_client_lives_on_an_attached_volume_that_is_imaged_hot_and_the_point_is_served_back()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, Length);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        string point;
        await using (await NbdServing.StartAsync(cli, Socket, "volume", volume.Name))
        {
            await WriteAsync("write -P 0x31 0 8M", "write -P 0x32 32M 4M", "flush");
            point = (await cli.BackupAsync(volume.Name, "--prove")).GetProperty("point").GetString()!;
            await WriteAsync("write -P 0x99 1M 2M", "flush"); // after the instant: not in the point
            await WriteAsync("read -P 0x99 1M 2M", "read -P 0x31 0 1M", "read -P 0x32 32M 4M");
        }

        await using (await NbdServing.StartAsync(cli, Socket, "point", point))
        {
            await ReadAsync("read -P 0x31 0 8M", "read -P 0 8M 24M", "read -P 0x32 32M 4M", "read -P 0 36M 28M");
            ProcessResult refused = await Tool.TryRunAsync("qemu-io", "-f", "raw", "-c", "write 0 4k", Uri);
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Matches(@"54525952\s.*\s3 hole,zero", await Tool.RunAsync("nbdinfo", "--map", "--totals", Uri));
            await cli.RunAsync("restore", point, _folder["restored.img"]);
            Assert.Contains("identical", await Tool.RunAsync("qemu-img", "compare", "-f", "raw", "-F", "raw", Uri, _folder["restored.img"]), StringComparison.Ordinal);
        }

        await using (await NbdServing.StartAsync(cli, Socket, "point", point, "--writable", "--overlay-folder", _folder.Path))
        {
            await WriteAsync("write -P 0x77 100k 300k", "read -P 0x77 100k 300k", "read -P 0x31 400k 1M", "write -z 32M 1M", "read -P 0 32M 1M");
        }

        Assert.Empty(Directory.GetFiles(_folder.Path, "quench-overlay-*"));
        string later = (await cli.BackupAsync(volume.Name)).GetProperty("point").GetString()!; // with the 2 MiB that came after the first instant
        await using (await NbdServing.StartAsync(cli, Socket, "point", later, "--changed-since", point))
        {
            string[] changed = [.. (await Tool.RunAsync("nbdinfo", "--map=quench:changed", Uri)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2] == "1")];
            Assert.Matches(@"^\s*1048576\s+2097152\s+1\b", Assert.Single(changed));
        }

        await cli.RefusedAsync(2, "CLI-143", "serve", "point", later, "--changed-since", point, "--writable", "--socket", Socket);
        await cli.RunAsync("verify", point);
        await cli.RunAsync("restore", point, _folder["again.img"]);
        Assert.Equal(0, (await Tool.TryRunAsync("cmp", _folder["restored.img"], _folder["again.img"])).ExitCode);
    }

    [Fact]
    public async Task A_volume_that_is_mounted_is_served_read_only_or_not_at_all()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        QuenchCli cli = new();
        await cli.RefusedAsync(11, "BLOCK-103", "serve", "volume", volume.Name, "--socket", Socket);
        await using (await NbdServing.StartAsync(cli, Socket, "volume", volume.Name, "--read-only"))
        {
            Assert.Equal($"{Length}", (await Tool.RunAsync("nbdinfo", "--size", Uri)).Trim());
        }

        await cli.RefusedAsync(1, "CLI-142", "serve", "volume", "nobody-knows-it", "--socket", Socket);
    }

    private Task WriteAsync(params string[] commands) => DoAsync([], commands);

    private Task ReadAsync(params string[] commands) => DoAsync(["-r"], commands);

    private async Task DoAsync(string[] how, string[] commands)
    {
        string output = await Tool.RunAsync("qemu-io", [.. how, "-f", "raw", .. commands.SelectMany(command => new[] { "-c", command }), Uri]);
        Assert.DoesNotContain("failed", output, StringComparison.OrdinalIgnoreCase);
    }
}
