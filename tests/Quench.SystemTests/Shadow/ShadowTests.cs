using System.Text.Json;
using System.Text.RegularExpressions;
using Quench.Snapshots.Store;
using Quench.SystemTests.Coordination;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Shadow;

/// <summary>Shadow copies by set and id, vssadmin's shapes, and scripts that were written for diskshadow.</summary>
public sealed partial class ShadowTests
{
    private const long Length = 64L << 20;

    [Fact]
    public async Task A_set_is_taken_listed_exposed_and_deleted_by_its_id()
    {
        Requires.LiveVolumes();
        await using LiveVolume first = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        await using LiveVolume second = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("shadow");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        string set = LastLine(await cli.RunAsync("shadow", "create", first.MountPoint, second.MountPoint, "--label", "one"));
        JsonElement[] copies = [.. JsonDocument.Parse((await cli.RunAsync("shadow", "list", set, "--json")).Output).RootElement.EnumerateArray()];
        Assert.Equal([first.Name, second.Name], copies.Select(copy => copy.GetProperty("volume").GetString()).Order());
        Assert.All(copies, copy => Assert.Equal(set, copy.GetProperty("set").GetString()));

        string listing = (await cli.RunAsync("shadow", "list", set[..8], "--format", "vssadmin")).Output;
        Assert.StartsWith($"Contents of shadow copy set ID: {{{set}}}\n   Contained 2 shadow copies at creation time: ", listing, StringComparison.Ordinal);
        Assert.Equal(2, ShadowId().Count(listing));
        Assert.Contains($"         Original Volume: ({first.MountPoint}){first.Device}\n", listing, StringComparison.Ordinal);
        Assert.Contains("Attributes: Persistent, No auto release, Differential\n", listing, StringComparison.Ordinal);
        Assert.Contains($"   For volume: ({first.MountPoint}){first.Device}\n", (await cli.RunAsync("shadow", "storage", "--format", "vssadmin")).Output, StringComparison.Ordinal);
        Assert.Contains($"    Volume name: {second.Device}\n", (await cli.RunAsync("volumes", "--format", "vssadmin")).Output, StringComparison.Ordinal);

        string[] devices = (await cli.RunAsync("shadow", "expose", set)).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, devices.Length);
        foreach (string device in devices)
        {
            await RestoredImage.DemandCleanAsync(device, VolumeKind.Ext4);
        }

        await cli.RunAsync("shadow", "unexpose", set);
        string one = copies[0].GetProperty("id").GetString()!;
        await cli.RefusedAsync(2, "CLI-108", "shadow", "delete", one);
        await cli.RunAsync("shadow", "delete", one, "--yes");
        await cli.RunAsync("shadow", "delete", "--oldest", copies[1].GetProperty("volume").GetString()!, "--yes");
        await cli.RefusedAsync(1, "SNAP-160", "shadow", "list", set);
    }

    [Fact]
    public async Task A_script_takes_a_set_mounts_it_runs_a_program_in_it_and_leaves_nothing_volatile_behind()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3");
        await using LiveVolume first = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        await using LiveVolume second = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("shadow-script");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        WriterProgram writer = new(folder, Path.Combine(first.MountPoint, "data"));
        await File.WriteAllTextAsync(Path.Combine(first.MountPoint, "before"), "as it was", TestContext.Current.CancellationToken);
        string copy = folder.MakeFolder("copy");
        string program = folder["look"];
        await File.WriteAllTextAsync(program, $"#!/bin/sh\nrm '{first.MountPoint}/before'\ncat \"$1/before\"; echo; echo \"set $VSS_SHADOW_SET alias $data\"\n", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        string script = await ScriptAsync(folder, $"""
            # a script as it might have come from Windows
            set context volatile
            set verbose on
            set metadata "{folder["writers.xml"]}"
            writer verify Test
            begin backup
            add volume {first.MountPoint} alias data
            ADD VOLUME {second.Name} ALIAS logs
            create
            expose %data% {copy}
            exec {program} {copy}
            list shadows all
            unexpose {copy}
            end backup
            """);
        string said = (await cli.RunAsync("shadow", "script", script, "--writer-folder", writer.Folder)).Output;
        Assert.Contains("as it was", said, StringComparison.Ordinal);
        Assert.Contains("application grade", said, StringComparison.Ordinal);
        Assert.Equal(3, ShadowId().Count(said) + Regex.Count(said, "^data: shadow copy", RegexOptions.Multiline)); // two in the listing, one line of create's own
        Assert.Contains("urn:quench:writer-metadata:1", await File.ReadAllTextAsync(folder["writers.xml"], TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.True(await writer.IsFreeAsync());
        DemandNone(first, second);
        Assert.Empty(Directory.EnumerateFileSystemEntries(copy));
    }

    [Fact]
    public async Task A_script_that_fails_half_way_leaves_nothing_mounted_nothing_held_and_no_volatile_copy()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("shadow-script");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        WriterProgram writer = new(folder, Path.Combine(volume.MountPoint, "data"));
        string copy = folder.MakeFolder("copy");
        string script = await ScriptAsync(folder, $"""
            begin backup
            add volume {volume.Name} alias data
            create
            expose %data% {copy}
            exec /bin/false
            """);
        ProcessResult failed = await cli.RefusedAsync(1, "CLI-161", "shadow", "script", script, "--writer-folder", writer.Folder);
        Assert.Contains("line 5 of the script: /usr/bin/false ended with exit code 1", failed.Error, StringComparison.Ordinal);
        Assert.True(await writer.IsFreeAsync());
        Assert.Empty(Directory.EnumerateFileSystemEntries(copy));
        DemandNone(volume);

        string wants = await ScriptAsync(folder, $"writer verify Nobody\nadd volume {volume.Name}\ncreate\n");
        await cli.RefusedAsync(1, "CLI-161", "shadow", "script", wants, "--writer-folder", writer.Folder);
        DemandNone(volume);
    }

    [Fact]
    public async Task Persistent_copies_of_a_script_stay_and_a_script_that_deletes_asks_first()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("shadow-script");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        string keeps = await ScriptAsync(folder, $"set context clientaccessible\nadd volume {volume.Name}\ncreate\nexit\nnonsense that nobody looks at\n");
        await cli.RunAsync("shadow", "script", keeps);
        Assert.Single(PersistentSnapshots.List(volume.Attached, measured: false).Snapshots);
        Assert.Contains("Attributes: Persistent, Client-accessible, No auto release, No writers, Differential", (await cli.RunAsync("shadow", "list", "--format", "vssadmin")).Output, StringComparison.Ordinal);

        string deletes = await ScriptAsync(folder, $"delete shadows volume {volume.Name}\n");
        await cli.RefusedAsync(2, "CLI-108", "shadow", "script", deletes);
        Assert.Single(PersistentSnapshots.List(volume.Attached, measured: false).Snapshots);
        await cli.RunAsync("shadow", "script", deletes, "--yes");
        DemandNone(volume);
    }

    private static void DemandNone(params LiveVolume[] volumes) => Assert.All(volumes, volume => Assert.Empty(PersistentSnapshots.List(volume.Attached, measured: false).Snapshots));

    private static async Task<string> ScriptAsync(TempFolder folder, string text)
    {
        string file = folder[$"{Guid.NewGuid():N}.dsh"];
        await File.WriteAllTextAsync(file, text, TestContext.Current.CancellationToken);
        return file;
    }

    private static string LastLine(ProcessResult result) => result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1];

    [GeneratedRegex(@"^      Shadow Copy ID: \{[0-9a-f-]{36}\}$", RegexOptions.Multiline)]
    private static partial Regex ShadowId();
}
