using System.Security.Cryptography;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.Tests.Vault;

/// <summary>The promise of <see cref="IObjectStore"/>, as tests. A new store passes all of them.</summary>
public abstract class ObjectStoreConformance
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    protected abstract IObjectStore NewStore();

    [Fact]
    public async Task What_was_put_is_got_back()
    {
        await using IObjectStore store = NewStore();
        foreach (int length in (int[])[0, 1, 4095, 4096, 100_000])
        {
            byte[] content = RandomNumberGenerator.GetBytes(length);
            await store.PutAsync($"a/b-{length}", content, Token);
            Assert.Equal(content, await store.GetAsync($"a/b-{length}", Token));
        }
    }

    [Fact]
    public async Task What_is_not_there_is_null_and_false()
    {
        await using IObjectStore store = NewStore();
        Assert.Null(await store.GetAsync("no/such", Token));
        Assert.False(await store.TryReadAsync("no/such", 0, new byte[1], Token));
        await store.DeleteAsync("no/such", Token);
        Assert.Empty(await NamesAsync(store, ""));
    }

    [Fact]
    public async Task Putting_the_same_bytes_again_succeeds_and_other_bytes_are_refused()
    {
        await using IObjectStore store = NewStore();
        await store.PutAsync("x", new byte[] { 1, 2 }, Token);
        await store.PutAsync("x", new byte[] { 1, 2 }, Token);
        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("x", new byte[] { 1, 3 }, Token));
        await Assert.ThrowsAsync<ObjectExistsException>(() => store.PutAsync("x", new byte[] { 1 }, Token));
        Assert.Equal([1, 2], (await store.GetAsync("x", Token))!);
    }

    [Fact]
    public async Task Of_many_that_put_if_absent_one_wins()
    {
        await using IObjectStore store = NewStore();
        bool[] won = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => store.TryPutAsync("commits/one", new[] { (byte)i }, Token))));
        Assert.Single(won, true);
        byte winner = (byte)Array.IndexOf(won, true);
        Assert.Equal([winner], (await store.GetAsync("commits/one", Token))!);
    }

    [Fact]
    public async Task A_part_is_read_whole_or_not_at_all()
    {
        await using IObjectStore store = NewStore();
        await store.PutAsync("p", new byte[] { 0, 1, 2, 3, 4 }, Token);
        byte[] into = new byte[3];
        Assert.True(await store.TryReadAsync("p", 2, into, Token));
        Assert.Equal([2, 3, 4], into);
        Assert.False(await store.TryReadAsync("p", 3, into, Token));
        Assert.False(await store.TryReadAsync("p", 99, into, Token));
    }

    [Fact]
    public async Task A_listing_has_the_names_with_its_prefix_and_their_lengths()
    {
        await using IObjectStore store = NewStore();
        await store.PutAsync("a/1", new byte[1], Token);
        await store.PutAsync("a/b/2", new byte[2], Token);
        await store.PutAsync("ab", new byte[3], Token);
        Assert.Equal(["a/1:1", "a/b/2:2"], await NamesAsync(store, "a/"));
        Assert.Equal(["a/1:1", "a/b/2:2", "ab:3"], await NamesAsync(store, ""));
        Assert.Equal(["a/b/2:2"], await NamesAsync(store, "a/b"));
        Assert.Empty(await NamesAsync(store, "c/"));
    }

    [Fact]
    public async Task What_was_deleted_is_gone_and_its_name_is_free()
    {
        await using IObjectStore store = NewStore();
        await store.PutAsync("d", new byte[1], Token);
        await store.DeleteAsync("d", Token);
        Assert.Null(await store.GetAsync("d", Token));
        Assert.Empty(await NamesAsync(store, ""));
        Assert.True(await store.TryPutAsync("d", new byte[2], Token));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("a//b")]
    [InlineData("../a")]
    [InlineData("a/.tmp-1")]
    [InlineData("A")]
    [InlineData("a b")]
    public async Task What_is_no_name_is_refused(string name)
    {
        await using IObjectStore store = NewStore();
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.PutAsync(name, new byte[1], Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.GetAsync(name, Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.TryReadAsync(name, 0, new byte[1], Token));
        await Assert.ThrowsAsync<ArgumentException>(async () => await store.DeleteAsync(name, Token));
    }

    protected static async Task<List<string>> NamesAsync(IObjectStore store, string prefix)
    {
        List<string> names = [];
        await foreach (StoredObject found in store.ListAsync(prefix, Token))
        {
            names.Add($"{found.Name}:{found.Length}{(found.IsForeign ? " foreign" : "")}");
        }

        names.Sort(StringComparer.Ordinal);
        return names;
    }
}

public sealed class MemoryStoreTests : ObjectStoreConformance
{
    protected override IObjectStore NewStore() => new MemoryStore();
}

public sealed class LocalDirectoryTests : ObjectStoreConformance, IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "quench-store-" + Guid.NewGuid().ToString("N"));

    [Fact]
    public async Task Files_and_folders_are_the_owners_alone()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the store needs Linux");
        if (!OperatingSystem.IsLinux())
        {
            return; // the compiler does not know that the line above ends the test
        }

        await using IObjectStore store = NewStore();
        await store.PutAsync("a/b", new byte[1], TestContext.Current.CancellationToken);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, "a/b")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.Combine(_folder, "a")));
    }

    [Fact]
    public async Task What_a_dead_writer_left_is_not_listed_and_is_swept()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "a"));
        string left = Path.Combine(_folder, "a", ".tmp-00112233445566778899aabbccddeeff");
        await File.WriteAllBytesAsync(left, new byte[10], TestContext.Current.CancellationToken);
        await using IObjectStore store = NewStore();
        Assert.Empty(await NamesAsync(store, ""));
        Assert.True(File.Exists(left));
        await store.PutAsync("a/b", new byte[1], TestContext.Current.CancellationToken);
        Assert.False(File.Exists(left));
    }

    [Fact]
    public async Task What_a_living_writer_is_at_is_left_alone()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "a"));
        string busy = Path.Combine(_folder, "a", ".tmp-00112233445566778899aabbccddeeff");
        using Microsoft.Win32.SafeHandles.SafeFileHandle writer = Quench.Interop.Linux.NativeFile.Open(
            busy, Quench.Interop.Linux.OpenMode.Create | Quench.Interop.Linux.OpenMode.WriteOnly);
        Assert.True(Quench.Interop.Linux.AdvisoryLock.TryTake(writer));
        await using IObjectStore store = NewStore();
        await store.PutAsync("a/b", new byte[1], TestContext.Current.CancellationToken);
        Assert.True(File.Exists(busy));
    }

    [Fact]
    public async Task Foreign_things_are_listed_as_foreign_and_never_touched()
    {
        Directory.CreateDirectory(_folder);
        await File.WriteAllTextAsync(Path.Combine(_folder, "Read me.txt"), "mine", TestContext.Current.CancellationToken);
        File.CreateSymbolicLink(Path.Combine(_folder, "link"), "/etc/passwd");
        Directory.CreateDirectory(Path.Combine(_folder, "lost+found"));
        await using IObjectStore store = NewStore();
        Assert.Equal(["Read me.txt:4 foreign", "link:0 foreign"], (await NamesAsync(store, "")).Select(name => name.StartsWith("link", StringComparison.Ordinal) ? "link:0 foreign" : name));
        Assert.True(File.Exists(Path.Combine(_folder, "Read me.txt")));
    }

    [Fact]
    public void No_space_is_said_as_such()
    {
        Quench.Interop.Linux.LinuxErrorException cause = new(Quench.Interop.Linux.Errno.ENOSPC, "write", null);
        Quench.Blocks.QuenchException failure = StoreErrors.From("/backup", "writing packs/aa/x", cause);
        Assert.Equal("VAULT-062", failure.Code);
        Assert.Contains("no space", failure.Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    protected override IObjectStore NewStore() => new LocalDirectory(_folder);
}
