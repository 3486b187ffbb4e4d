using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Snapshots.Coordination.Restoring;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Restoring;

/// <summary>Real files in a folder; renames that fail, and a process that dies between any two of them.</summary>
public sealed class FolderSwapTests : IDisposable
{
    private const int MostCalls = 200;

    private readonly TemporaryDirectory _place = new();

    private string Live => _place["app"];

    private string Fresh => Path.Combine(_place[".quench-restore-1"], "new");

    private string Kept => _place[".quench-before-1"];

    private string Journal => Path.Combine(_place[".quench-restore-1"], "journal");

    public void Dispose() => _place.Dispose();

    [Fact]
    public void A_folder_of_the_components_own_is_exchanged_whole()
    {
        Make(["a=old", "sub/b=old"], ["a=new", "c=new"]);
        SwapPlan plan = Plan(_ => true);
        Assert.Equal([new SwapStep(Live, Fresh, Kept)], plan.Steps);
        Swap(plan).Run();
        Assert.Equal(["a=new", "c=new"], Read(Live));
        Assert.Equal(["a=old", "sub/b=old"], Read(Kept));
    }

    [Fact]
    public void What_is_not_the_components_stays_and_what_is_new_comes_beside_it()
    {
        Make(["a=old", "sub/b=old", "sub/other=mine", "gone/x=old"], ["a=new", "sub/b=new", "sub/c=new", "fresh/d=new"]);
        SwapPlan plan = Plan(path => path != "sub/other");
        FolderSwap swap = Swap(plan);
        swap.Run();
        Assert.True(File.Exists(Journal));
        swap.Settle();
        Assert.False(File.Exists(Journal));
        Assert.Equal(["a=new", "fresh/d=new", "sub/b=new", "sub/c=new", "sub/other=mine"], Read(Live));
        Assert.Equal(["a=old", "gone/x=old", "sub/b=old"], Read(Kept));
        Assert.Equal(["", "sub"], plan.Folders);
    }

    [Fact]
    public void A_folder_that_is_not_there_is_put_there()
    {
        Make([], ["a=new"]);
        Directory.Delete(Live);
        SwapPlan plan = SwapPlan.Make(Live, false, false, [], Fresh, Entries(Fresh, _ => true), Kept, takesRoot: true);
        Swap(plan).Run();
        Assert.Equal(["a=new"], Read(Live));
    }

    [Fact]
    public void Where_something_else_is_in_the_way_nothing_is_planned()
    {
        Make(["a/mine=mine"], ["a=new"]);
        Assert.Throws<IOException>(() => Plan(path => path == "a"));
    }

    [Fact]
    public void When_a_rename_fails_all_before_it_are_taken_back()
    {
        Assert.SkipUnless(FaultPoint.Exists, "needs a debug build");
        int failures = 0;
        for (int at = 0; at < MostCalls; at++)
        {
            Reset();
            SwapPlan plan = Plan(path => path != "sub/other");
            FaultPoint.Set(new Trouble(at, () => (int)Errno.EPERM));
            try
            {
                Swap(plan).Run();
                Assert.True(failures > 5, "each rename was tried");
                return;
            }
            catch (SwapException failure)
            {
                failures++;
                Assert.Empty(failure.Left);
            }
            finally
            {
                FaultPoint.Set(null);
            }

            DemandOld();
            Assert.False(Directory.Exists(Kept), "an empty folder is not kept");
            Assert.Equal(s_new, Read(Fresh));
        }

        Assert.Fail("it never came to its end");
    }

    [Fact]
    public void When_the_process_dies_between_any_two_renames_the_next_one_takes_them_back()
    {
        Assert.SkipUnless(FaultPoint.Exists, "needs a debug build");
        for (int at = 0; at < MostCalls; at++)
        {
            Reset();
            SwapPlan plan = Plan(path => path != "sub/other");
            FaultPoint.Set(new Trouble(at, () => throw new PowerCutException()));
            bool died = false;
            try
            {
                Swap(plan).Run();
            }
            catch (PowerCutException)
            {
                died = true;
            }
            finally
            {
                FaultPoint.Set(null);
            }

            FolderSwap.TakeBack(Journal, out IReadOnlyList<SwapStep> left);
            Assert.Empty(left);
            Assert.False(File.Exists(Journal));
            if (!died)
            {
                Assert.True(at > 5);
                Assert.Equal(["a=new", "fresh/d=new", "sub/b=new", "sub/c=new", "sub/other=mine"], Read(Live)); // a swap that came to its end stands
                return;
            }

            DemandOld();
        }

        Assert.Fail("it never came to its end");
    }

    private static readonly string[] s_old = ["a=old", "gone/x=old", "sub/b=old", "sub/other=mine"];
    private static readonly string[] s_new = ["a=new", "fresh/d=new", "sub/b=new", "sub/c=new"];

    private void Reset()
    {
        foreach (string folder in Directory.GetDirectories(_place.Path))
        {
            Directory.Delete(folder, recursive: true);
        }

        Make(s_old, s_new);
    }

    private void DemandOld() => Assert.Equal(s_old, Read(Live));

    private FolderSwap Swap(SwapPlan plan) => new(plan.Steps, [Journal]);

    private SwapPlan Plan(Func<string, bool> isChosen) =>
        SwapPlan.Make(Live, true, true, Entries(Live, isChosen), Fresh, Entries(Fresh, _ => true), Kept, takesRoot: true);

    private void Make(string[] live, string[] fresh)
    {
        Write(Live, live);
        Write(Fresh, fresh);
    }

    private static void Write(string folder, string[] files)
    {
        Directory.CreateDirectory(folder);
        foreach (string[] file in files.Select(file => file.Split('=')))
        {
            string path = Path.Combine(folder, file[0]);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, file[1]);
        }
    }

    private static IEnumerable<string> Read(string folder) => Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
        .Select(file => $"{Path.GetRelativePath(folder, file)}={File.ReadAllText(file)}").Order(StringComparer.Ordinal);

    private static IEnumerable<TreeEntry> Entries(string folder, Func<string, bool> isChosen) => Directory.GetFileSystemEntries(folder, "*", SearchOption.AllDirectories)
        .Select(path => new TreeEntry(Path.GetRelativePath(folder, path), Directory.Exists(path), isChosen(Path.GetRelativePath(folder, path))));

    private sealed class PowerCutException : Exception;

    /// <summary>Answers one rename or exchange, by its number; all others are the kernel's.</summary>
    private sealed class Trouble(int at, Func<int> answer) : IIoFaults
    {
        private int _calls;

        public int? Answer(IoCall call, string? path, SafeFileHandle? file) =>
            call is IoCall.Rename or IoCall.Exchange && _calls++ == at ? answer() : null;

        public int Shorten(IoCall call, int length) => length;
    }
}
