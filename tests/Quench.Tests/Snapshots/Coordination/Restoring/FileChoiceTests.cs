using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Restoring;

public sealed class FileChoiceTests
{
    [Theory]
    [InlineData("*", true, "a", true)]
    [InlineData("*", true, "deep/er/a", true)]
    [InlineData("*", false, "a", true)]
    [InlineData("*", false, "deep/a", false)]
    [InlineData("*.db", true, "deep/x.db", true)]
    [InlineData("*.db", true, "deep/x.db-wal", false)]
    [InlineData("?.db", false, "x.db", true)]
    [InlineData("?.db", false, "xx.db", false)]
    [InlineData("data.db", false, "Data.db", false)]
    public void A_set_takes_entries_by_their_own_names_in_its_folder_or_below(string pattern, bool recursive, string path, bool taken) =>
        Assert.Equal(taken, new FileChoice("/srv/app", [new ComponentFiles("/srv/app", pattern, recursive)], []).Takes(path));

    [Theory]
    [InlineData("postmaster.pid", false)]
    [InlineData("sub/postmaster.pid", true)]   // not in the folder itself
    [InlineData("tmp", true)]                  // the folder stays, what is in it does not
    [InlineData("tmp/x", false)]
    [InlineData("tmp/deep/x", false)]
    [InlineData("core.1", false)]
    [InlineData("sub/core.1", false)]
    public void What_is_excluded_is_not_taken(string path, bool taken)
    {
        ComponentFiles[] excluded = [new("/srv/app", "postmaster.pid", false), new("/srv/app/tmp"), new("/srv", "core.*")];
        Assert.Equal(taken, new FileChoice("/srv/app/", [new ComponentFiles("/srv/app")], excluded).Takes(path));
    }

    [Fact]
    public void Sets_in_folders_below_are_taken_with_the_folder_and_sets_elsewhere_are_not()
    {
        FileChoice choice = new("/srv", [new ComponentFiles("/srv/app/logs", "*.log", false), new ComponentFiles("/srvx")], []);
        Assert.True(choice.Takes("app/logs/one.log"));
        Assert.False(choice.Takes("app/one.log"));
        Assert.False(choice.TakesRoot);
    }

    [Fact]
    public void A_name_that_is_no_text_is_taken_like_any_other()
    {
        FileChoice all = new("/srv", [new ComponentFiles("/srv")], [], "also");
        Assert.True(all.Takes("a\u00FF\u00FEb"));
        Assert.True(new FileChoice("/srv", [new ComponentFiles("/srv", "ä*")], []).Takes(FileChoice.BytesOf("äx")));
        Assert.True(new FileChoice("/srv", [], [], "also").Takes("also"));
    }
}
