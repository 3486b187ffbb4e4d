using System.Xml.Linq;
using Xunit;

namespace Quench.Tests.Architecture;

/// <summary>Who may name whom: docs/architecture.md, "Directions".</summary>
public sealed class DirectionTests
{
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        ["Quench.Interop"] = [],
        ["Quench.Writers"] = [],
        ["Quench.Blocks"] = ["Quench.Interop"],
        ["Quench.FileSystems"] = ["Quench.Blocks"],
        ["Quench.Exports"] = ["Quench.Blocks", "Quench.Interop"],
        ["Quench.Vault"] = ["Quench.Blocks", "Quench.Interop"],
        ["Quench.Snapshots"] = ["Quench.Blocks", "Quench.Exports", "Quench.Interop"],
        ["Quench.Imaging"] = ["Quench.Blocks", "Quench.FileSystems", "Quench.Exports", "Quench.Vault", "Quench.Snapshots"],
        ["Quench.Cli"] = ["Quench.Imaging", "Quench.Vault", "Quench.Snapshots", "Quench.Exports", "Quench.Blocks"], // docs/decisions/0004
    };

    /// <summary>Inside a project: a room, and the rooms of ours that it may name.</summary>
    private static readonly (string Assembly, string Room, string[] May)[] s_rooms =
    [
        ("Quench.Snapshots", "Quench.Snapshots.Engine", ["Quench.Blocks"]),
        ("Quench.Vault", "Quench.Vault.Format", []),
    ];

    [Fact]
    public void Each_project_lists_only_what_it_may_name()
    {
        string[] projects = [.. Repository.Projects("src")];
        Assert.Equal(s_allowed.Keys.Order(), projects.Select(path => Path.GetFileNameWithoutExtension(path)).Order());
        foreach (string path in projects)
        {
            IEnumerable<string> listed = XDocument.Load(path).Descendants("ProjectReference")
                .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));
            Assert.Empty(listed.Except(s_allowed[Path.GetFileNameWithoutExtension(path)]));
        }
    }

    [Fact]
    public void Each_assembly_uses_only_what_it_may_name()
    {
        foreach ((string project, string[] may) in s_allowed)
        {
            IEnumerable<string> used = System.Reflection.Assembly.LoadFrom(Repository.Assembly(project))
                .GetReferencedAssemblies()
                .Select(name => name.Name!)
                .Where(name => name.StartsWith("Quench", StringComparison.OrdinalIgnoreCase));
            string[] forbidden = [.. used.Except(may)];
            Assert.True(forbidden.Length == 0, $"{project} may not name {string.Join(", ", forbidden)}");
        }
    }

    [Fact]
    public void Only_the_native_layer_calls_the_machine()
    {
        Assert.True(MetadataEdges.CountNativeCalls(Repository.Assembly("Quench.Interop")) > 20, "the counter sees native calls");
        foreach (string project in s_allowed.Keys.Where(project => project != "Quench.Interop"))
        {
            Assert.True(MetadataEdges.CountNativeCalls(Repository.Assembly(project)) == 0, $"{project} has native calls: move them to Quench.Interop");
        }
    }

    [Fact]
    public void Only_the_native_layer_may_be_unsafe()
    {
        IEnumerable<string> unsafeProjects = Repository.Projects("src")
            .Where(path => XDocument.Load(path).Descendants("AllowUnsafeBlocks").Any(element => element.Value == "true"));
        Assert.Equal(["Quench.Interop"], unsafeProjects.Select(path => Path.GetFileNameWithoutExtension(path)));
    }

    [Fact]
    public void A_room_names_only_what_it_may()
    {
        foreach ((string assembly, string room, string[] may) in s_rooms)
        {
            Refuse(assembly, edge => IsIn(edge.From, room) && !IsIn(edge.To, room) && !may.Any(allowed => IsIn(edge.To, allowed)));
        }
    }

    [Fact]
    public void A_store_knows_nothing_else_of_the_vault() =>
        Refuse("Quench.Vault", edge => IsIn(edge.From, "Quench.Vault.Stores") && IsIn(edge.To, "Quench.Vault") && !IsIn(edge.To, "Quench.Vault.Stores"));

    [Fact]
    public void File_systems_do_not_know_each_other() =>
        Refuse("Quench.FileSystems", edge => Room(edge.From, "Quench.FileSystems") is { } from && Room(edge.To, "Quench.FileSystems") is { } to && from != to);

    [Fact]
    public void Taking_an_image_and_giving_it_back_meet_only_in_the_vault() =>
        Refuse("Quench.Imaging", edge =>
            (IsIn(edge.From, "Quench.Imaging.Capture") && IsIn(edge.To, "Quench.Imaging.Recovery"))
            || (IsIn(edge.From, "Quench.Imaging.Recovery") && IsIn(edge.To, "Quench.Imaging.Capture")));

    [Theory]
    [InlineData("InABody", true)]
    [InlineData("InAField", true)]
    [InlineData("InAGenericArgument", true)]
    [InlineData("InAClosure", true)]
    [InlineData("Innocent", false)]
    public void The_checker_has_teeth(string specimen, bool names)
    {
        const string Specimens = "Quench.Tests.Architecture.Specimens.";
        IReadOnlyCollection<(string From, string To)> edges = MetadataEdges.Read(typeof(DirectionTests).Assembly.Location);
        Assert.Equal(names, edges.Contains((Specimens + specimen, Specimens + "Named")));
    }

    private static void Refuse(string assembly, Func<(string From, string To), bool> forbidden)
    {
        string[] found = [.. MetadataEdges.Read(Repository.Assembly(assembly)).Where(forbidden).Select(edge => $"{edge.From} names {edge.To}")];
        Assert.True(found.Length == 0, string.Join('\n', found));
    }

    private static bool IsIn(string name, string room) => name == room || name.StartsWith(room + ".", StringComparison.Ordinal);

    /// <summary>The room just below a project that a namespace lies in; null for the project's own root.</summary>
    private static string? Room(string name, string project) =>
        name.StartsWith(project + ".", StringComparison.Ordinal) ? name[(project.Length + 1)..].Split('.')[0] : null;
}
