using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Index;

/// <summary>The cache of a large index: it saves time, and whatever becomes of it no answer is ever wrong.</summary>
public sealed class IndexCacheTests
{
    /// <summary>One byte of so many is tried; 1 is all of them.</summary>
    private static readonly int s_stride = int.Parse(Environment.GetEnvironmentVariable("QUENCH_STRIDE") ?? "4999", System.Globalization.CultureInfo.InvariantCulture);

    private readonly Random _random = TestSeed.NewRandom();

    [Fact]
    public async Task A_second_opening_reads_no_index_objects()
    {
        using IndexLab lab = await NewLabAsync();
        using (VaultIndex first = lab.NewIndex())
        {
            Assert.Null(await lab.WrongAsync(first));
            Assert.True(first.Chunks.Runs.Count is > 0 and <= 4);
        }

        using VaultIndex second = lab.NewIndex();
        Assert.Null(await lab.WrongAsync(second));
        Assert.Equal(0, second.LastRead);
        Assert.Empty(second.Warnings);

        await lab.AddObjectAsync(packs: 1);
        using VaultIndex third = lab.NewIndex();
        await third.RefreshAsync(Token);
        Assert.Equal(1, third.LastRead);
        Assert.Null(await lab.WrongAsync(third));
    }

    [Fact]
    public async Task A_small_vault_stays_in_memory_and_leaves_the_disk_alone()
    {
        using IndexLab lab = await IndexLab.CreateAsync(_random, 200);
        using VaultIndex index = lab.NewIndex();
        Assert.Null(await lab.WrongAsync(index));
        Assert.Empty(index.Chunks.Runs);
        Assert.False(Directory.Exists(lab.Cache));
    }

    [Fact]
    public async Task Numbers_stay_while_the_index_lives_and_outlive_merges_and_openings()
    {
        using IndexLab lab = await NewLabAsync();
        using VaultIndex index = lab.NewIndex();
        Dictionary<ChunkId, int> before = await OrdinalsAsync(lab, index);
        for (int i = 0; i < 30; i++)
        {
            await lab.AddObjectAsync(packs: 3);
            await index.RefreshAsync(Token);
        }

        Dictionary<ChunkId, int> after = await OrdinalsAsync(lab, index);
        Assert.All(before, pair => Assert.Equal(pair.Value, after[pair.Key]));
        Assert.Equal(Enumerable.Range(0, after.Count), after.Values.Order());

        await lab.AddObjectAsync(packs: 15); // enough for a run, so all is in the cache
        await index.RefreshAsync(Token);
        using VaultIndex second = lab.NewIndex();
        Dictionary<ChunkId, int> again = await OrdinalsAsync(lab, second);
        Assert.All(after, pair => Assert.Equal(pair.Value, again[pair.Key]));
    }

    [Fact]
    public async Task A_new_generation_drops_the_cache_and_condemned_packs_are_not_relied_on()
    {
        using IndexLab lab = await NewLabAsync();
        using VaultIndex index = lab.NewIndex();
        ChunkIndex old = await index.RefreshAsync(Token);
        (ChunkId victim, Guid pack) = lab.Chunks.First();
        Assert.True(old.CanRelyOn(victim));

        await lab.CondemnAsync(1, pack);
        using VaultIndex other = lab.NewIndex();
        ChunkIndex fresh = await other.RefreshAsync(Token);
        Assert.True(other.LastRead > 0, "what was remembered of another generation was believed");
        Assert.False(fresh.CanRelyOn(victim));
        Assert.Null(await lab.WrongAsync(other));

        ChunkIndex renewed = await index.RefreshAsync(Token);
        Assert.NotSame(old, renewed);
        Assert.False(renewed.CanRelyOn(victim));
        Assert.True(old.TryFind(victim, out _, out _)); // who still holds the old one may go on asking it
        Assert.Null(await lab.WrongAsync(index));

        using VaultIndex third = lab.NewIndex();
        Assert.False((await third.RefreshAsync(Token)).CanRelyOn(victim));
        Assert.Equal(0, third.LastRead);
    }

    [Fact]
    public async Task A_chunk_stored_again_because_its_pack_was_condemned_is_found_in_its_new_place_by_later_openings()
    {
        using IndexLab lab = await NewLabAsync();
        Guid pack = lab.Chunks.First().Value;
        ChunkId[] moved = [.. lab.Chunks.Where(pair => pair.Value == pack).Select(pair => pair.Key)];
        using (VaultIndex index = lab.NewIndex())
        {
            await index.RefreshAsync(Token);
        }

        await lab.CondemnAsync(1, pack);
        using (VaultIndex index = lab.NewIndex())
        {
            await index.RefreshAsync(Token);
            await lab.AddObjectAsync(packs: 1, moved);
            await lab.AddObjectAsync(packs: 20);
            ChunkIndex chunks = await index.RefreshAsync(Token);
            Assert.All(moved, id => Assert.True(chunks.CanRelyOn(id)));
            Assert.Null(await lab.WrongAsync(index));
        }

        using VaultIndex later = lab.NewIndex();
        Assert.Null(await lab.WrongAsync(later));
        Assert.All(moved, id => Assert.True(later.Chunks.CanRelyOn(id)));
    }

    [Fact]
    public async Task When_a_pack_is_lost_the_other_place_of_its_chunks_is_found()
    {
        using IndexLab lab = await NewLabAsync();
        Guid pack = lab.Chunks.First().Value;
        ChunkId[] twice = [.. lab.Chunks.Where(pair => pair.Value == pack).Select(pair => pair.Key)];
        await lab.AddObjectAsync(packs: 1, twice);
        Guid second = lab.Chunks[twice[0]];
        using (VaultIndex index = lab.NewIndex())
        {
            await index.RefreshAsync(Token);
            Assert.True(index.Chunks.TryFind(twice[0], out ChunkPlace place, out _));
            await lab.Store.DeleteAsync(ObjectNames.Pack(place.Pack.Id), Token);
            Guid left = place.Pack.Id == pack ? second : pack;
            Array.ForEach(twice, id => lab.Chunks[id] = left);
        }

        using VaultIndex later = lab.NewIndex();
        Assert.Null(await lab.WrongAsync(later));
    }

    [Fact]
    public async Task Every_file_of_the_cache_may_be_missing_short_or_changed_anywhere()
    {
        using IndexLab lab = await NewLabAsync();
        Dictionary<string, byte[]> sound = await NewCacheAsync(lab);
        int tried = 0;
        foreach ((string name, byte[] bytes) in sound.Where(file => file.Value.Length > 0))
        {
            await TryAsync(lab, sound, name, null);
            for (int at = _random.Next(s_stride); at < bytes.Length; at += s_stride, tried++)
            {
                byte[] changed = [.. bytes];
                changed[at] ^= (byte)(1 << _random.Next(8));
                await TryAsync(lab, sound, name, changed);
                await TryAsync(lab, sound, name, bytes[..at]);
            }
        }

        TestContext.Current.SendDiagnosticMessage($"{tried} places in {sound.Count} files");
        Assert.True(tried > 10);
    }

    [Fact]
    public async Task Whatever_moment_a_writer_dies_in_the_next_one_gives_right_answers()
    {
        using IndexLab lab = await NewLabAsync();
        Dictionary<string, byte[]> files = await NewCacheAsync(lab);
        await lab.AddObjectAsync(packs: 20);
        foreach ((string name, byte[] bytes) in await NewCacheAsync(lab))
        {
            files[name] = bytes; // the old files and the new ones: a writer that dies leaves some of them
        }

        Assert.True(files.Keys.Count(name => name.StartsWith("state-", StringComparison.Ordinal)) == 2);
        for (int round = 0; round < 60; round++)
        {
            Dictionary<string, byte[]> left = files.Where(_ => _random.Next(4) != 0).ToDictionary();
            string cut = left.Keys.ElementAtOrDefault(_random.Next(Math.Max(1, left.Count))) ?? "lock";
            left[".tmp-" + Guid.NewGuid().ToString("N")] = left.TryGetValue(cut, out byte[]? half) ? half[..(half.Length / 2)] : [];
            Write(lab, left);
            using VaultIndex index = lab.NewIndex();
            Assert.True(await lab.WrongAsync(index) is null, $"round {round}: {await lab.WrongAsync(index)}; left were {string.Join(", ", left.Keys)}");
        }
    }

    [Fact]
    public async Task A_renewed_cache_leaves_nothing_of_the_old_one_and_nothing_of_killed_writers()
    {
        using IndexLab lab = await NewLabAsync();
        await NewCacheAsync(lab);
        await File.WriteAllBytesAsync(Path.Combine(lab.Cache, ".tmp-" + new string('0', 32)), [1], Token);
        await File.WriteAllBytesAsync(Path.Combine(lab.Cache, "run-" + new string('0', 32)), [1], Token);
        string held = Path.Combine(lab.Cache, ".tmp-" + new string('1', 32));
        using Microsoft.Win32.SafeHandles.SafeFileHandle inUse = NativeFile.Open(held, OpenMode.ReadWrite | OpenMode.Create);
        Assert.True(AdvisoryLock.TryTake(inUse));
        await lab.AddObjectAsync(packs: 20);
        using (VaultIndex index = lab.NewIndex())
        {
            await index.RefreshAsync(Token);
            Assert.Equal(index.Chunks.Runs.Count, Directory.GetFiles(lab.Cache, "run-*").Length);
        }

        Assert.Single(Directory.GetFiles(lab.Cache, "state-*"));
        Assert.Equal([held], Directory.GetFiles(lab.Cache, ".tmp-*"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(lab.Cache));
    }

    [Fact]
    public async Task Two_that_renew_the_cache_at_once_are_both_right_and_so_is_what_they_leave()
    {
        using IndexLab lab = await NewLabAsync();
        for (int round = 0; round < 10; round++)
        {
            using VaultIndex one = lab.NewIndex();
            using VaultIndex two = lab.NewIndex();
            await Task.WhenAll(Task.Run(() => one.RefreshAsync(Token)), Task.Run(() => two.RefreshAsync(Token)));
            await lab.AddObjectAsync(packs: _random.Next(1, 25));
            await Task.WhenAll(Task.Run(() => one.RefreshAsync(Token)), Task.Run(() => two.RefreshAsync(Token)));
            Assert.Null(await lab.WrongAsync(one));
            Assert.Null(await lab.WrongAsync(two));
            using VaultIndex three = lab.NewIndex();
            Assert.Null(await lab.WrongAsync(three));
        }

        Assert.True(Directory.GetFiles(lab.Cache, "state-*").Length == 1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_refresh_that_fails_anywhere_is_made_up_for_by_the_next(bool withCache)
    {
        using IndexLab lab = await NewLabAsync();
        Dictionary<string, byte[]> cache = await NewCacheAsync(lab);
        await lab.AddObjectAsync(packs: 5);
        bool failed = true;
        int call = 1;
        for (; failed; call++)
        {
            Write(lab, withCache ? cache : []);
            Faults.FaultyStore store = new(lab.Store, call, Faults.Fault.Once);
            using VaultIndex index = new(store, lab.Keys, lab.Cache, IndexLab.Low);
            failed = await Record.ExceptionAsync(() => index.RefreshAsync(Token)) is not null;
            Assert.True(!failed || await lab.WrongAsync(index) is null, $"call {call}");
        }

        Assert.True(call > (withCache ? 4 : 20));
    }

    [Fact]
    public async Task A_cache_of_a_newer_generation_than_was_seen_is_left_to_those_who_saw_it()
    {
        using IndexLab lab = await NewLabAsync();
        await lab.CondemnAsync(7, lab.Chunks.First().Value);
        Dictionary<string, byte[]> newer = await NewCacheAsync(lab);
        await lab.Store.DeleteAsync(ObjectNames.Condemned(7), Token); // as if this listing had come before it
        using (VaultIndex index = lab.NewIndex())
        {
            Assert.Null(await lab.WrongAsync(index));
            Assert.True(index.LastRead > 0);
        }

        Assert.Equal(newer.Keys.Order(), Directory.GetFiles(lab.Cache).Select(path => Path.GetFileName(path)).Order());
    }

    [Fact]
    public async Task A_cache_that_is_deleted_while_it_is_used_loses_nothing()
    {
        using IndexLab lab = await NewLabAsync();
        using VaultIndex index = lab.NewIndex();
        await index.RefreshAsync(Token);
        Directory.Delete(lab.Cache, recursive: true);
        Assert.Null(await lab.WrongAsync(index));
        await lab.AddObjectAsync(packs: 40);
        Assert.Null(await lab.WrongAsync(index));
        using VaultIndex next = lab.NewIndex();
        Assert.Null(await lab.WrongAsync(next));
    }

    [Fact]
    public async Task Another_vaults_cache_is_not_believed()
    {
        using IndexLab lab = await NewLabAsync();
        using IndexLab other = await NewLabAsync();
        Write(lab, await NewCacheAsync(other));
        using VaultIndex index = lab.NewIndex();
        Assert.Null(await lab.WrongAsync(index));
        Assert.True(index.Chunks.Runs.Count > 0);
    }

    [Fact]
    public async Task Without_a_place_for_the_cache_the_index_works_and_says_so()
    {
        using IndexLab lab = await NewLabAsync();
        using VaultIndex index = new(lab.Store, lab.Keys, "/dev/null/cache", IndexLab.Low);
        Assert.Null(await lab.WrongAsync(index));
        Assert.Contains("/dev/null/cache", Assert.Single(index.Warnings), StringComparison.Ordinal);
        Assert.True(index.Chunks.Runs.Count > 0, "files without a name take the cache's place");
    }

    [Fact]
    public async Task A_damaged_index_object_is_found_although_the_cache_has_its_content()
    {
        using IndexLab lab = await NewLabAsync();
        string name = await lab.AddObjectAsync(packs: 20);
        await NewCacheAsync(lab);
        byte[] bytes = (await lab.Store.GetAsync(name, Token))!;
        bytes[^20] ^= 1;
        await lab.Store.DeleteAsync(name, Token);
        await lab.Store.PutAsync(name, bytes, Token);
        using VaultIndex index = lab.NewIndex();
        await index.RefreshAsync(Token);
        Assert.Empty(index.Damaged);
        await index.CheckCachedAsync(Token);
        Assert.Equal([name], index.Damaged.Keys);
    }

    [Fact]
    public async Task What_a_session_stores_is_known_as_soon_as_its_index_object_is_durable()
    {
        using IndexLab lab = await NewLabAsync();
        using VaultIndex index = lab.NewIndex();
        ChunkIndex known = await index.RefreshAsync(Token);
        SessionKey session = lab.Keys.NewSession(BackupSession.NewId());
        for (int i = 0; i < 20; i++)
        {
            ChunkId[] ids = [.. Enumerable.Range(0, 100).Select(_ => lab.NewId())];
            Assert.All(ids, id => Assert.False(known.CanRelyOn(id)));
            (string name, byte[] body) = await lab.NewObjectAsync(session, packs: 10, ids);
            await lab.Store.PutAsync(name, lab.Keys.SealEnvelope(EnvelopeKind.Index, name, body), Token);
            await index.TakeOwnAsync(known, name, body, session, Token);
            Assert.All(ids, id => Assert.True(known.CanRelyOn(id)));
        }

        Assert.True(known.InMemory < IndexLab.Low.Tail);
        await index.RefreshAsync(Token);
        Assert.Equal(0, index.LastRead);
        Assert.Same(known, index.Chunks);
        using VaultIndex next = lab.NewIndex();
        Assert.Null(await lab.WrongAsync(next));
    }

    private Task<IndexLab> NewLabAsync() => IndexLab.CreateAsync(_random, 1500);

    private static async Task<Dictionary<ChunkId, int>> OrdinalsAsync(IndexLab lab, VaultIndex index)
    {
        ChunkIndex chunks = await index.RefreshAsync(Token);
        return lab.Chunks.Keys.ToDictionary(id => id, id => chunks.TryFind(id, out _, out int ordinal) ? ordinal : -1);
    }

    /// <summary>Renews the cache and reads its files.</summary>
    private static async Task<Dictionary<string, byte[]>> NewCacheAsync(IndexLab lab)
    {
        using (VaultIndex index = lab.NewIndex())
        {
            await index.RefreshAsync(Token);
        }

        return Directory.GetFiles(lab.Cache).ToDictionary(path => Path.GetFileName(path), LockedFile.ReadAllBytes);
    }

    private static void Write(IndexLab lab, Dictionary<string, byte[]> files)
    {
        if (Directory.Exists(lab.Cache))
        {
            Directory.Delete(lab.Cache, recursive: true);
        }

        Directory.CreateDirectory(lab.Cache);
        foreach ((string name, byte[] bytes) in files)
        {
            File.WriteAllBytes(Path.Combine(lab.Cache, name), bytes);
        }
    }

    private static async Task TryAsync(IndexLab lab, Dictionary<string, byte[]> sound, string name, byte[]? bytes)
    {
        Dictionary<string, byte[]> files = new(sound);
        files.Remove(name);
        if (bytes is not null)
        {
            files[name] = bytes;
        }

        Write(lab, files);
        using VaultIndex index = lab.NewIndex();
        string? wrong = await lab.WrongAsync(index);
        Assert.True(wrong is null, $"{name} of {bytes?.Length ?? -1} bytes: {wrong}");
        await NeverAbsentAsync(lab, sound, files);
    }

    /// <summary>Whoever asks the index itself hears the truth, or that it can't be told; what is there is never called absent.</summary>
    private static async Task NeverAbsentAsync(IndexLab lab, Dictionary<string, byte[]> sound, Dictionary<string, byte[]> files)
    {
        if (files.Count != sound.Count)
        {
            return;
        }

        Write(lab, files);
        using VaultIndex index = lab.NewIndex();
        ChunkIndex chunks = await index.RefreshAsync(Token);
        foreach (ChunkId id in lab.Chunks.Keys)
        {
            try
            {
                Assert.True(chunks.TryFind(id, out _, out _));
            }
            catch (QuenchException failure)
            {
                Assert.Equal("VAULT-091", failure.Code);
                Assert.True(chunks.IsDamaged);
            }
        }
    }
}
