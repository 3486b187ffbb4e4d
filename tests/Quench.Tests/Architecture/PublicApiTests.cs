using Xunit;

namespace Quench.Tests.Architecture;

/// <summary>The public surface is a file: a new public member is a line in a review.</summary>
public sealed class PublicApiTests
{
    private static readonly string[] s_projects =
    [
        "Quench.Interop", "Quench.Blocks", "Quench.FileSystems", "Quench.Exports", "Quench.Vault", "Quench.Snapshots", "Quench.Writers", "Quench.Imaging", "Quench.Cli",
    ];

    [Fact]
    public void The_public_surface_is_the_golden_one()
    {
        string golden = Path.Combine(Repository.Root, "tests/Quench.Tests/Golden/PublicApi.txt");
        string present = string.Concat(s_projects.Select(project => PublicApi.Describe(System.Reflection.Assembly.LoadFrom(Repository.Assembly(project)))));
        if (Environment.GetEnvironmentVariable("QUENCH_RENEW_GOLDEN") == "1")
        {
            File.WriteAllText(golden, present);
        }

        string[] before = File.Exists(golden) ? File.ReadAllLines(golden) : [];
        string[] after = present.TrimEnd('\n').Split('\n');
        string difference = string.Join('\n', after.Except(before).Select(line => "+ " + line).Concat(before.Except(after).Select(line => "- " + line)));
        Assert.True(before.SequenceEqual(after), $"the public surface has changed; if that is meant, run `QUENCH_RENEW_GOLDEN=1 ./test fast`:\n{difference}");
    }
}
