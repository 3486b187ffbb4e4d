using System.Globalization;
using System.Text.Json;
using Quench.SystemTests.Guests;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A machine images its own root from inside, while packages are installed on it: the image boots, and its packages are what they should be.</summary>
public sealed class GuestRootTests : IDisposable
{
    private const int PartitionOffset = 1 << 20; // as scripts/guest/build makes it
    private const string Password = "a password for the guest";

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(8);

    private readonly TempFolder _folder = new("guest-root");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_live_root_is_imaged_from_inside_while_packages_install_and_its_image_boots_clean()
    {
        string disk = Requires.Guest();
        string live = _folder["live.img"];
        await Tool.RunAsync("cp", "--sparse=always", disk, live);
        string tools = await GuestTools.MakeAsync(_folder, Program, (Path.Combine(Path.GetDirectoryName(disk)!, "debs"), "debs"));
        string store = await GuestTools.MakeDiskAsync(_folder, "vault", null, "1G");
        JsonElement summary;
        int before;
        int after;
        await using (GuestMachine guest = await GuestMachine.StartAsync(_folder.Path, "live", $"file={live}", "run", tools, store))
        {
            await guest.WaitForAsync(1);
            await guest.WaitToSayAsync("imaging");
            before = guest.Done;
            int code = await guest.Ended.WaitAsync(s_limit, Token);
            after = guest.Done;
            Assert.True(code == 0, string.Join('\n', guest.Said));
            summary = JsonDocument.Parse(guest.Said.Last(line => line.Contains("\"summary\"", StringComparison.Ordinal))).RootElement;
            Figures.Say($"kernel and rounds: {string.Join("; ", guest.Said.Where(line => line.StartsWith("note: ", StringComparison.Ordinal)))}");
            Figures.Say(summary.ToString());
        }

        string restored = await RestoreAsync(live, store, summary.GetProperty("point").GetString()!);
        await BootAsync(restored, before, after);
        await DemandPackagesAsync(disk, restored);
    }

    private const string Program = $$"""
        #!/bin/bash
        # As PID 1's child: prints what the host wants to know. Packages go in and out until the image is there.
        set -e
        export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
        export LD_LIBRARY_PATH=/run/tools/lib DOTNET_ROOT=/run/tools/dotnet DOTNET_EnableDiagnostics=0 DOTNET_TieredPGO=0
        export QUENCH_VAULT=/run/vault/v QUENCH_PASSWORD="{{Password}}"
        quench() { /run/tools/dotnet/dotnet /run/tools/quench/quench.dll "$@"; }
        echo "note: $(uname -r)"
        mkdir -p /run/vault
        mount LABEL=vault /run/vault
        quench init >/dev/null
        install() {
            local round=0
            while [ ! -e /run/enough ]; do
                dpkg --force-depends -i /run/tools/debs/*.deb
                dpkg --force-depends -P xkb-data fonts-dejavu-core
                echo $((++round)) >/run/rounds
            done
        }
        install >/run/install.log 2>&1 &
        until [ -e /run/rounds ]; do sleep 0.2; done
        echo imaging
        quench backup / --freeze-root --json
        echo "note: packages went in and out $(cat /run/rounds) times"
        touch /run/enough
        sync -f /run/vault
        """;

    /// <summary>The live disk as it was made, with its partition filled with other bytes and then restored.</summary>
    private async Task<string> RestoreAsync(string live, string store, string point)
    {
        string restored = _folder["restored.img"];
        await Tool.RunAsync("dd", $"if={live}", $"of={restored}", "bs=1M", "count=1", "status=none");
        await Tool.RunAsync("truncate", "--reference", live, restored);
        string vault = _folder.MakeFolder("mnt");
        await Tool.RunAsync("mount", "-o", "loop", store, vault);
        try
        {
            QuenchCli cli = new(Path.Combine(vault, "v"), Password);
            string partition = _folder["partition.img"];
            await cli.RunAsync("verify", point);
            await cli.RunAsync("restore", point, partition);
            await Tool.RunAsync("dd", $"if={partition}", $"of={restored}", "bs=1M", "seek=1", "conv=sparse,notrunc", "status=none");
            File.Delete(partition);
        }
        finally
        {
            await Tool.RunAsync("umount", vault);
        }

        return restored;
    }

    private async Task BootAsync(string image, int before, int after)
    {
        await using GuestMachine guest = await GuestMachine.StartAsync(_folder.Path, "restored", $"file={image}", "check");
        await guest.WaitForLoginAsync();
        int found = await guest.Found.WaitAsync(s_limit, Token);
        Figures.Say(string.Create(CultureInfo.InvariantCulture, $"the image was at its login prompt after {guest.Age.TotalSeconds:0} s, with all records to {found}; {before} to {after} became durable while it was made"));
        Assert.InRange(found, before, after + 1);
        await guest.SwitchOffAsync();
        ProcessResult check = await Tool.TryRunAsync("e2fsck", "-fn", $"{image}?offset={PartitionOffset}");
        Assert.True(check.ExitCode == 0, check.ToString());
    }

    /// <summary>Each package that the image's own books call installed has every byte it should have, but for what the machine was made without.</summary>
    private async Task DemandPackagesAsync(string original, string image)
    {
        (string[] missing, _) = await VerifyPackagesAsync(original);
        (string[] wrong, string[] installed) = await VerifyPackagesAsync(image);
        string[] news = [.. wrong.Except(missing).Where(line => !line.Contains(" /usr/share/doc/", StringComparison.Ordinal))];
        Assert.True(news.Length == 0, string.Join('\n', news));
        Assert.InRange(installed.Length, 100, int.MaxValue);
        Figures.Say($"{installed.Length} packages verify");
    }

    private async Task<(string[] Wrong, string[] Installed)> VerifyPackagesAsync(string image)
    {
        string root = _folder.MakeFolder("mnt");
        await Tool.RunAsync("mount", "-o", $"loop,offset={PartitionOffset},ro", image, root);
        try
        {
            string[] packages = Lines(await Tool.RunAsync("dpkg-query", $"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Status}\\t${Package}\\n"));
            string[] installed = [.. packages.Where(line => line.StartsWith("install ok installed\t", StringComparison.Ordinal)).Select(line => line.Split('\t')[1])];
            return (Lines((await Tool.TryRunAsync("dpkg", [$"--root={root}", "--verify", .. installed])).Output), installed);
        }
        finally
        {
            await Tool.RunAsync("umount", root);
        }
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
