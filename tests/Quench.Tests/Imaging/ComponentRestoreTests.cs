using Quench.Blocks;
using Quench.Imaging.Recovery.Components;
using Quench.Imaging.Recovery.Files;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Imaging;

/// <summary>Which components and which files of them are restored, and what is refused; the copier. Whole restores are in the system tests.</summary>
public sealed class ComponentRestoreTests
{
    private const string Metadata = """
        <writer-metadata xmlns="urn:quench:writer-metadata:1">
          <writer id="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01" instance="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c02" name="Test" instance-name="/srv/one" level="back-end">
            <method>a lock</method>
            <component name="files" kind="file-group"><files folder="/srv/one" pattern="*" recursive="true" /><restore method="stop-restore-start">note</restore></component>
            <component name="half" kind="database"><files folder="/srv/half" pattern="*" recursive="true" /><restore method="if-not-there" /></component>
            <component name="hand" kind="database"><files folder="/srv/hand" pattern="*" recursive="true" /><restore method="custom">by hand</restore></component>
          </writer>
          <writer id="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01" instance="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c03" name="Test" instance-name="/srv/two" level="back-end">
            <method>a lock</method>
            <component name="files" kind="file-group"><files folder="/srv/two" pattern="*" recursive="true" /><restore method="later" /></component>
          </writer>
        </writer-metadata>
        """;

    private const string Components = """
        <backup-components set="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01" xmlns="urn:quench:backup-components:1">
          <writer id="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01" instance="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c02" name="Test" state="5" error="0x00000000" consistent="true">
            <component name="files" grade="application" volumes="root" whole="true"><place folder="/srv/one" volume="root" offset="0" path="/one" /></component>
            <component name="half" grade="crash" volumes="root" whole="false" />
            <component name="hand" grade="application" volumes="root" whole="true" />
          </writer>
          <writer id="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01" instance="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c03" name="Test" state="5" error="0x00000000" consistent="true">
            <component name="files" grade="application" volumes="root" whole="true" />
          </writer>
        </backup-components>
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Other", "RST-130", "/srv/one/files, Test/half, Test/hand, /srv/two/files")]
    [InlineData("Test", "RST-131", "/srv/one/files")]
    [InlineData("test/files", "RST-131", "/srv/two/files")]
    [InlineData("Test/half", "RST-132", "volumes")]
    [InlineData("Test/hand", "RST-133", "--to")]
    [InlineData("/srv/two/files", "RST-133", "--to")] // a method that only later versions know is a person's business
    public void What_can_not_be_restored_is_refused_with_what_there_is(string wanted, string code, string next)
    {
        QuenchException refusal = Assert.Throws<QuenchException>(() => ComponentPlanner.Pick(Point(Metadata, Components), new ComponentRequest([wanted])));
        Assert.Equal(code, refusal.Code);
        Assert.Contains(next, refusal.Next, StringComparison.Ordinal);
    }

    [Fact]
    public void A_component_is_found_by_its_writer_and_its_name()
    {
        RestorableComponent found = Assert.Single(ComponentPlanner.Pick(Point(Metadata, Components), new ComponentRequest(["/srv/one/files", "/SRV/one/FILES"])));
        Assert.Equal(new FolderPlace("/srv/one", "root", 0, "/one"), Assert.Single(found.Place.Folders));
        Assert.Equal("Test/hand", Assert.Single(ComponentPlanner.Pick(Point(Metadata, Components), new ComponentRequest(["Test/hand"]) { To = "/elsewhere" })).Name);
        QuenchException none = Assert.Throws<QuenchException>(() => ComponentPlanner.Pick(Point("", ""), new ComponentRequest(["Test"])));
        Assert.Equal("RST-130", none.Code);
    }

    [Fact]
    public void With_what_is_chosen_come_the_folders_on_the_way_to_it()
    {
        TreeFile[] tree = [File("", 'd'), File("a", 'd'), File("a/b", 'd'), File("a/b/x.db", 'f'), File("a/y", 'f'), File("c", 'd'), File("s.db", 's'), File(".quench-before-1", 'd')];
        FileChoice choice = new("/srv", [new ComponentFiles("/srv", "*.db"), new ComponentFiles("/srv", ".*")], []);
        Assert.Equal(["", "a", "a/b", "a/b/x.db"], ComponentPlanner.Choose(tree, choice).Select(file => file.Path));
    }

    [Fact]
    public async Task Files_are_carried_with_their_names_links_and_holes()
    {
        using TemporaryDirectory folder = new();
        string from = Directory.CreateDirectory(folder["from"]).FullName;
        string to = Directory.CreateDirectory(folder["to"]).FullName;
        (int code, string output) = await Tool.RunAsync("sh", ["-ec", $"cd '{from}'; mkdir sub; printf x > 'sub/-a b'; ln 'sub/-a b' linked; truncate -s 4M holes; printf y > \"$(printf 'no\\377text')\"; printf z > left"]);
        Assert.True(code == 0, output);
        IReadOnlyList<TreeFile> tree = await FileTree.ListAsync(from, isQuiet: true, Stop);
        Assert.Contains(tree, file => file is { Path: "no\u00FFtext", Length: 1, Kind: 'f' });
        await TarCopy.RunAsync(from, [.. tree.Where(file => file.Path != "left").Select(file => file.Path)], to, Stop);
        IReadOnlyList<TreeFile> copied = await FileTree.ListAsync(to, isQuiet: true, Stop);
        Assert.Equal(tree.Where(file => file.Path != "left").Select(file => (file.Path, file.Kind)).Order(), copied.Select(file => (file.Path, file.Kind)).Order());
        Assert.True(copied.Single(file => file.Path == "holes") is { Length: 4 << 20, Allocated: < 1 << 20 });
        Assert.Equal("x", await System.IO.File.ReadAllTextAsync(Path.Combine(to, "linked"), Stop));
        IOException failure = await Assert.ThrowsAsync<IOException>(() => TarCopy.RunAsync(from, ["sub", "nothing"], to, Stop));
        Assert.Contains("nothing", failure.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(() => TarCopy.RunAsync(from, ["sub"], folder["absent"], Stop));
        await Tool.DemandAsync("rm", "-rf", from, to); // the base library can't remove a name that is no text
    }

    private static TreeFile File(string path, char kind) => new(path, kind, 1, 4096, "1");

    private static RecoveryPoint Point(string metadata, string components) => new()
    {
        Id = Guid.NewGuid(),
        SessionId = Guid.NewGuid(),
        Host = "here",
        Instant = DateTimeOffset.UnixEpoch,
        Written = DateTimeOffset.UnixEpoch,
        Volumes = [],
        Coordination = new CoordinationRecord { Set = Guid.NewGuid(), Writers = [], MetadataDocument = metadata, ComponentsDocument = components },
    };
}
