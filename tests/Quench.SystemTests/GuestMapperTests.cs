using System.Globalization;
using Quench.SystemTests.Guests;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// What lies in a LUKS container and on LVM is imaged through its open mapping, by its used blocks, at rest and in use; the container and the physical volume themselves are imaged whole. This
/// machine's kernel has no device mapper; the guest's has.
/// </summary>
public sealed class GuestMapperTests : IDisposable
{
    private const int SubjectMiB = 96;
    private const string Password = "a password for the guest";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(12);

    private readonly TempFolder _folder = new("guest-mapper");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_is_in_luks_and_on_lvm_is_imaged_through_its_open_mapping_and_they_themselves_whole()
    {
        string live = _folder["live.img"];
        await Tool.RunAsync("cp", "--sparse=always", Requires.Guest(), live);
        string tools = await GuestTools.MakeAsync(_folder, Program, (await GatherAsync("cryptsetup", "lvm", "mkfs.ext4"), "mapper"));
        string store = await GuestTools.MakeDiskAsync(_folder, "vault", null, "1G");
        string[] subjects = [_folder["luks.disk"], _folder["lvm.disk"]];
        await Tool.RunAsync("truncate", ["--size", $"{SubjectMiB}M", .. subjects]);
        await using (GuestMachine guest = await GuestMachine.StartAsync(_folder.Path, "live", $"file={live}", "run", [tools, store, .. subjects]))
        {
            int code = await guest.Ended.WaitAsync(s_limit, Token);
            Figures.Say(string.Join('\n', guest.Said));
            Assert.True(code == 0, string.Join('\n', guest.Said));
            string vault = _folder.MakeFolder("mnt");
            await Tool.RunAsync("mount", "-o", "loop", store, vault);
            try
            {
                QuenchCli cli = new(Path.Combine(vault, "v"), Password);
                await CheckAsync(cli, "luks", "plain", subjects[0], guest.Said);
                await CheckAsync(cli, "lvm", "group-data", subjects[1], guest.Said);
            }
            finally
            {
                await Tool.RunAsync("umount", vault);
            }
        }
    }

    private const string Program = $$"""
        #!/bin/bash
        # Prints what the host wants to know. The subjects are the fourth and the fifth disk.
        export HOME=/root PATH=/run/tools/mapper/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        export DOTNET_ROOT=/run/tools/dotnet DOTNET_EnableDiagnostics=0 DOTNET_TieredPGO=0 DM_DISABLE_UDEV=1
        export QUENCH_VAULT=/run/vault/v QUENCH_PASSWORD="{{Password}}"
        fail() { echo "wrong: $*"; cat /run/report /run/quench/volumes/*/worker.log; dmesg | tail -n 5; cat /proc/uptime; exit 1; }
        quench() { LD_LIBRARY_PATH=/run/tools/lib /run/tools/dotnet/dotnet /run/tools/quench/quench.dll "$@" 2>/run/report; }
        with() { LD_LIBRARY_PATH=/run/tools/mapper/lib "$@" >/run/report 2>&1; } # a tool of this machine's
        : >/run/report
        echo "note: $(uname -r)"
        modprobe -a dm-mod dm-crypt loop fuse || fail "no modules"
        mkdir -p /run/vault /run/m
        mount LABEL=vault /run/vault || fail "no vault"
        quench init >/dev/null || fail "init"

        # A file system on a mapping: imaged at rest, then in use, through Quench, while a log is written.
        within() { # name, device
            with mkfs.ext4 -q "$2" || fail "$1: mkfs"
            mount "$2" /run/m || fail "$1: mount"
            head -c 5000000 /dev/urandom >/run/m/file
            echo "sum-$1 $(sha256sum </run/m/file | cut -d' ' -f1)"
            umount /run/m
            point=$(quench backup "$2") || fail "$1: at rest"
            echo "rest-$1 ${point##*$'\n'}"
            device=$(quench attach "$2" --name "$1" --without-supervisor) || fail "$1: attach"
            mount "${device##*$'\n'}" /run/m || fail "$1: mount through Quench"
            rm -f /run/enough
            (n=0; while [ ! -e /run/enough ]; do n=$((n + 1)); echo $n >>/run/m/log; sync /run/m/log; echo $n >/run/now; done) &
            until [ -s /run/now ]; do sleep 0.1; done
            before=$(cat /run/now)
            point=$(quench backup "$1") || fail "$1: in use"
            echo "live-$1 ${point##*$'\n'} $before $(cat /run/now)"
            touch /run/enough
            wait
            rm /run/now
            umount /run/m
            quench detach "$1" >/dev/null || fail "$1: detach"
        }
        echo -n secret | with cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/vdd - || fail "luksFormat"
        echo -n secret | with cryptsetup open --key-file - /dev/vdd plain || fail "open"
        within luks /dev/mapper/plain
        quench backup /dev/vdd >/dev/null && fail "an open container was imaged"
        echo "open-luks $(tr '\n' ' ' </run/report)"
        with cryptsetup close plain || fail "close"
        point=$(quench backup /dev/vdd) || fail "luks: whole"
        echo "whole-luks ${point##*$'\n'} $(tr '\n' ' ' </run/report)"

        with lvm pvcreate /dev/vde && with lvm vgcreate group /dev/vde && with lvm lvcreate --yes --wipesignatures n -L 64M -n data group || fail "lvm"
        within lvm /dev/mapper/group-data
        quench backup /dev/vde >/dev/null && fail "a physical volume in use was imaged"
        echo "open-lvm $(tr '\n' ' ' </run/report)"
        with lvm vgchange -a n group || fail "vgchange"
        point=$(quench backup /dev/vde) || fail "lvm: whole"
        echo "whole-lvm ${point##*$'\n'} $(tr '\n' ' ' </run/report)"
        sync -f /run/vault
        """;

    /// <summary>Programs of this machine and the libraries that they want: the guest is the same Debian without them.</summary>
    private async Task<string> GatherAsync(params string[] programs)
    {
        Requires.Tool(programs);
        string tree = _folder.MakeFolder("mapper");
        string bin = Directory.CreateDirectory(Path.Combine(tree, "bin")).FullName;
        string lib = Directory.CreateDirectory(Path.Combine(tree, "lib")).FullName;
        foreach (string program in programs)
        {
            string path = (await Tool.RunAsync("which", program)).Trim();
            await Tool.RunAsync("cp", "-L", path, bin);
            foreach (string line in (await Tool.RunAsync("ldd", path)).Split('\n').Where(line => line.Contains("=> /", StringComparison.Ordinal) && !line.Contains("libc.so", StringComparison.Ordinal)))
            {
                await Tool.RunAsync("cp", "-L", line.Split("=> ")[1].Split(' ')[0], lib);
            }
        }

        return tree;
    }

    private async Task CheckAsync(QuenchCli cli, string name, string mapping, string subject, IReadOnlyList<string> said)
    {
        string[] Words(string what) => said.Single(line => line.StartsWith($"{what}-{name} ", StringComparison.Ordinal)).Split(' ', 3);
        string refused = string.Join(' ', Words("open"));
        Assert.All((string[])[$"part of /dev/mapper/{mapping} ", "next: image that instead", "code: SRC-103"], words => Assert.Contains(words, refused, StringComparison.Ordinal));

        await RestoreAsync(cli, Words("whole")[1], $"{name}-whole.img", "");
        Assert.Contains("its map of used blocks is in doubt", Words("whole")[2], StringComparison.Ordinal);
        await Tool.RunAsync("cmp", subject, _folder[$"{name}-whole.img"]);

        string sum = Words("sum")[1];
        await RestoreAsync(cli, Words("rest")[1], $"{name}-rest.img", sum);
        string[] live = said.Single(line => line.StartsWith($"live-{name} ", StringComparison.Ordinal)).Split(' ');
        string log = await RestoreAsync(cli, live[1], $"{name}-live.img", sum);
        int[] numbers = [.. log.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
        Assert.Equal(Enumerable.Range(1, numbers.Length), numbers);
        Assert.InRange(numbers.Length, int.Parse(live[2], CultureInfo.InvariantCulture), int.Parse(live[3], CultureInfo.InvariantCulture) + 1);
    }

    /// <summary>Restores a point; with a sum, demands that its file system is sound and its file has it, and returns its log.</summary>
    private async Task<string> RestoreAsync(QuenchCli cli, string point, string name, string sum)
    {
        string image = _folder[name];
        await cli.RunAsync("verify", point);
        await cli.RunAsync("restore", point, image);
        if (sum.Length == 0)
        {
            return "";
        }

        await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
        await using RestoredImage inside = await RestoredImage.MountAsync(image, VolumeKind.Ext4, _folder.MakeFolder(name + ".mnt"));
        Assert.Equal(sum, (await Tool.RunAsync("sha256sum", inside["file"])).Split(' ')[0]);
        return File.Exists(inside["log"]) ? await File.ReadAllTextAsync(inside["log"], Token) : "";
    }
}
