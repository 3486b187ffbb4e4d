using System.Globalization;
using System.Text;
using Quench.Blocks;
using Quench.Tests.Vault.Faults;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Roots;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Roots;

/// <summary>
/// The small objects that all else hangs on are kept twice: whatever happens to one of the two, nothing is lost. QUENCH_PART says which bytes are
/// damaged: "0/1" is all of them; one of 23 when it says nothing.
/// </summary>
public sealed class RootCopiesTests : IAsyncDisposable
{
    private static readonly int[] s_part =
        [.. (Environment.GetEnvironmentVariable("QUENCH_PART") ?? "0/23").Split('/').Select(number => int.Parse(number, CultureInfo.InvariantCulture))];

    private static readonly byte[] s_first = [.. Encoding.ASCII.GetBytes("first"), .. new byte[ChunkSize], 1, 2, 3];
    private static readonly byte[] s_second = Encoding.ASCII.GetBytes("second");

    private readonly MemoryStore _store = new();
    private byte[] _code = [];

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task Whatever_happens_to_either_object_of_a_root_the_vault_opens_lists_and_restores_and_a_repair_makes_it_whole()
    {
        await MakeVaultAsync();
        Dictionary<string, byte[]> sound = await SnapshotAsync(_store);
        string[] roots = [.. sound.Keys.Where(RootCopies.IsRoot).Order(StringComparer.Ordinal)];
        Assert.Equal(9, roots.Length); // format, config, two slots, ring, two points, two commit keys
        int tried = 0;
        foreach (string name in roots.SelectMany(root => new[] { root, RootCopies.CopyOf(root) }))
        {
            foreach ((string damage, byte[]? content) in Damages(sound[name]))
            {
                await ReplaceAsync(name, content);
                await DemandWholeAsync($"{name}, {damage}");
                await DemandToldAndHealedAsync(name, content is null, $"{name}, {damage}");
                tried++;
            }
        }

        Assert.Equal(sound, await SnapshotAsync(_store));
        TestContext.Current.SendDiagnosticMessage($"{tried} damages of {roots.Length} roots and their copies");
        Assert.True(tried > 300);
    }

    /// <summary>Who gives up when the commit key is durable is too late: the point exists, is reported, and is whole.</summary>
    [Fact]
    public async Task A_point_that_was_committed_is_not_cancelled_any_more()
    {
        await MakeVaultAsync();
        using CancellationTokenSource giveUp = new();
        await using BackupVault vault = await OpenAsync(new GivingUpStore(_store, "commits/", giveUp));
        await using BackupSession session = await vault.BeginAsync("host", Token);
        VolumeRecord volume = await ImageAsync(vault, session, s_second, "third");
        RecoveryPoint point = await session.CommitAsync(
            new PointDraft { Host = "host", Instant = TimeProvider.System.GetUtcNow(), Volumes = [volume] }, giveUp.Token);
        Assert.True(giveUp.IsCancellationRequested);
        Assert.NotNull(await _store.GetAsync(RootCopies.CopyOf(ObjectNames.Commit(session.Id)), Token));
        Assert.Contains(await vault.ListPointsAsync(Token), listed => listed.Id == point.Id);
    }

    /// <summary>Before that, a cancellation stays one.</summary>
    [Fact]
    public async Task A_point_whose_manifest_has_just_been_put_can_be_given_up()
    {
        await MakeVaultAsync();
        using CancellationTokenSource giveUp = new();
        await using BackupVault vault = await OpenAsync(new GivingUpStore(_store, "points/", giveUp));
        await using BackupSession session = await vault.BeginAsync("host", Token);
        VolumeRecord volume = await ImageAsync(vault, session, s_second, "third");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => session.CommitAsync(
            new PointDraft { Host = "host", Instant = TimeProvider.System.GetUtcNow(), Volumes = [volume] }, giveUp.Token));
        Assert.Equal(2, (await vault.ListPointsAsync(Token)).Count);
    }

    [Fact]
    public async Task When_both_objects_of_a_root_are_damaged_that_is_said_and_nothing_is_touched()
    {
        await MakeVaultAsync();
        Dictionary<string, byte[]> sound = await SnapshotAsync(_store);
        foreach (string root in sound.Keys.Where(RootCopies.IsRoot))
        {
            foreach (bool lost in (bool[])[false, true])
            {
                Dictionary<string, byte[]> damaged = sound.ToDictionary(pair => pair.Key, pair => pair.Value.AsSpan().ToArray());
                damaged[root][^1] ^= 1;
                damaged[RootCopies.CopyOf(root)][70] ^= 1;
                if (lost)
                {
                    damaged.Remove(root);
                }

                await DemandNamedAsync(root, damaged);
            }
        }
    }

    [Fact]
    public async Task A_root_whose_place_on_the_medium_fails_is_read_from_its_copy()
    {
        await MakeVaultAsync();
        foreach (string root in (await SnapshotAsync(_store)).Keys.Where(RootCopies.IsRoot))
        {
            await using BackupVault vault = await BackupVault.OpenAsync(new BadSectorStore(_store, root), Password, TimeProvider.System, Token);
            await DemandPointsAsync(vault, root);
        }
    }

    [Theory]
    [InlineData(Fault.Once)]
    [InlineData(Fault.Sticky)]
    [InlineData(Fault.LostAnswer)]
    public async Task A_repair_that_fails_at_any_call_of_the_store_makes_nothing_worse(Fault fault)
    {
        await MakeVaultAsync();
        Dictionary<string, byte[]> sound = await SnapshotAsync(_store);
        Dictionary<string, byte[]> damaged = sound.ToDictionary(pair => pair.Key, pair => pair.Value.AsSpan().ToArray());
        string[] roots = [.. sound.Keys.Where(RootCopies.IsRoot).Order(StringComparer.Ordinal)];
        for (int i = 0; i < roots.Length; i++)
        {
            string hurt = i % 2 == 0 ? roots[i] : RootCopies.CopyOf(roots[i]);
            damaged[hurt][^2] ^= 4;
            if (i % 3 == 0)
            {
                damaged.Remove(hurt);
            }
        }

        bool fired = true;
        for (int n = 1; fired; n++)
        {
            MemoryStore store = await StoreOfAsync(damaged);
            FaultyStore faulty = new(store, n, fault);
            try
            {
                await using BackupVault vault = await OpenAsync(faulty);
                _ = await vault.HealRootsAsync(Token);
            }
            catch (QuenchException)
            {
                // what is there now is checked below
            }

            fired = faulty.Fired;
            await using BackupVault again = await OpenAsync(store);
            await DemandPointsAsync(again, $"{fault} at call {n}");
            Assert.True((await again.HealRootsAsync(Token)).IsWhole);
            Assert.Equal(sound, await SnapshotAsync(store));
        }
    }

    [Fact]
    public async Task A_vault_without_copies_is_sound_and_a_repair_makes_them()
    {
        await MakeVaultAsync();
        Dictionary<string, byte[]> whole = await SnapshotAsync(_store);
        foreach (string copy in whole.Keys.Where(name => name.StartsWith(ObjectNames.Copies, StringComparison.Ordinal)))
        {
            await _store.DeleteAsync(copy, Token);
        }

        await using BackupVault vault = await OpenAsync(_store);
        VerifyReport before = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.True(before.IsSound);
        Assert.Equal(9, before.WithoutCopy.Count);
        RootRepairReport report = await vault.HealRootsAsync(Token);
        Assert.Equal(9, report.Copied.Count);
        Assert.Equal(whole, await SnapshotAsync(_store));
        Assert.Empty((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).WithoutCopy);
    }

    [Fact]
    public async Task A_session_whose_commit_key_was_lost_is_not_decided_anew()
    {
        await MakeVaultAsync();
        string commit = (await SnapshotAsync(_store)).Keys.First(name => name.StartsWith(ObjectNames.Commits, StringComparison.Ordinal));
        await _store.DeleteAsync(commit, Token);
        Assert.False(await RootCopies.TryPutAsync(_store, commit, new byte[] { 1 }, Token));
        Assert.Null(await _store.GetAsync(commit, Token));
        await DemandWholeAsync("a commit key lost");
    }

    [Fact]
    public async Task What_is_left_of_a_forgotten_point_is_not_brought_back()
    {
        await MakeVaultAsync();
        VaultOpening opened = await VaultOpening.OpenAsync(_store, _code, Token);
        await using BackupVault vault = await OpenAsync(_store);
        RecoveryPoint point = (await vault.ListPointsAsync(Token))[0];
        string tombstone = ObjectNames.Forget(point.Id);
        await _store.PutAsync(tombstone, opened.Keys.SealEnvelope(EnvelopeKind.Forget, tombstone, "{}"u8), Token);
        opened.Keys.Dispose();
        await _store.DeleteAsync(ObjectNames.Point(point.Id), Token);
        await _store.DeleteAsync(ObjectNames.Commit(point.SessionId), Token);
        RootRepairReport report = await vault.HealRootsAsync(Token);
        Assert.Empty(report.Restored);
        Assert.Single(await vault.ListPointsAsync(Token));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_copy_of_what_is_no_root_is_foreign()
    {
        await MakeVaultAsync();
        await _store.PutAsync("copies/packs/aa/bb", new byte[] { 1 }, Token);
        await using BackupVault vault = await OpenAsync(_store);
        Assert.Equal(["copies/packs/aa/bb"], (await vault.VerifyAsync(null, VerifyLevel.Structure, null, Token)).Foreign);
    }

    /// <summary>Each byte changed, each length that is too short, one that is too long, and nothing at all.</summary>
    private static IEnumerable<(string What, byte[]? Content)> Damages(byte[] whole)
    {
        for (int i = s_part[0]; i < whole.Length; i += s_part[1])
        {
            byte[] flipped = [.. whole];
            flipped[i] ^= (byte)(1 << (i % 8));
            yield return ($"byte {i} changed", flipped);
            yield return ($"cut to {i} bytes", whole[..i]);
        }

        yield return ("a byte more", [.. whole, 0]);
        yield return ("lost", null);
    }

    private async Task MakeVaultAsync()
    {
        (BackupVault vault, string code) = await CreateWithCodeAsync(_store);
        _code = Encoding.ASCII.GetBytes(code);
        await BackupAsync(vault, s_first);
        await BackupAsync(vault, s_second);
        await vault.DisposeAsync();
    }

    private async Task ReplaceAsync(string name, byte[]? content)
    {
        await _store.DeleteAsync(name, Token);
        if (content is not null)
        {
            await _store.PutAsync(name, content, Token);
        }
    }

    private async Task DemandWholeAsync(string what)
    {
        foreach (byte[] secret in (byte[][])[Password, _code])
        {
            await using BackupVault vault = await BackupVault.OpenAsync(_store, secret, TimeProvider.System, Token);
            await DemandPointsAsync(vault, what);
        }
    }

    private static async Task DemandPointsAsync(BackupVault vault, string what)
    {
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(Token);
        Assert.True(points.Count == 2 && points.All(point => point.Damage is null), what);
        Assert.Equal(s_first, await RestoreAsync(vault, points[0].Volumes[0]));
        Assert.Equal(s_second, await RestoreAsync(vault, points[1].Volumes[0]));
    }

    private async Task DemandToldAndHealedAsync(string name, bool lost, string what)
    {
        string root = RootCopies.TryRootOf(name) ?? name;
        bool lostCopy = lost && root != name;
        await using BackupVault vault = await OpenAsync(_store);
        VerifyReport found = await vault.VerifyAsync(null, VerifyLevel.Structure, null, Token);
        Assert.True(found.IsSound == lostCopy, what);
        Assert.Equal(lostCopy ? [root] : [], found.WithoutCopy);
        Assert.True(lostCopy || found.Damage.Single().What.Contains(name, StringComparison.Ordinal), what);

        RootRepairReport report = await vault.HealRootsAsync(Token);
        Assert.Equal(root == name ? [root] : [], report.Restored);
        Assert.Equal(root == name ? [] : [root], report.Copied);
        Assert.True(report.IsWhole && (await vault.VerifyAsync(null, VerifyLevel.Structure, null, Token)) is { IsSound: true, WithoutCopy.Count: 0 }, what);
    }

    /// <summary>Damage of both is an error that names the root, or a point that is listed as damaged; and a repair leaves everything as it is.</summary>
    private async Task DemandNamedAsync(string root, Dictionary<string, byte[]> damaged)
    {
        MemoryStore store = await StoreOfAsync(damaged);
        BackupVault vault;
        try
        {
            vault = await BackupVault.OpenAsync(store, root.StartsWith(ObjectNames.Slots, StringComparison.Ordinal) ? _code : Password, TimeProvider.System, Token);
        }
        catch (QuenchException failure)
        {
            Assert.Contains(failure.Code, (string[])["VAULT-001", "VAULT-002", "VAULT-005"]);
            Assert.True(root[0] == 'k' || failure.Message.Contains(root, StringComparison.Ordinal) || (root == "format" && !damaged.ContainsKey(root)), failure.Message);
            return;
        }

        await using (vault)
        {
            VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Structure, null, Token);
            Assert.Contains(report.Damage, one => one.What.Contains(root, StringComparison.Ordinal));
            RootRepairReport repair = await vault.HealRootsAsync(Token);
            Assert.Equal([root], repair.Lost);
            Assert.Equal(damaged, await SnapshotAsync(store));
        }
    }

    /// <summary>A store whose user gives up right after an object below a prefix has been put.</summary>
    private sealed class GivingUpStore(IObjectStore inner, string prefix, CancellationTokenSource giveUp) : IObjectStore
    {
        public string Location => inner.Location;

        public async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await inner.PutAsync(name, content, cancellationToken);
            await AfterAsync(name);
        }

        public async Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            bool put = await inner.TryPutAsync(name, content, cancellationToken);
            await AfterAsync(name);
            return put;
        }

        public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return inner.GetAsync(name, cancellationToken);
        }

        public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken) =>
            inner.TryReadAsync(name, offset, into, cancellationToken);

        public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

        public Task DeleteAsync(string name, CancellationToken cancellationToken) => inner.DeleteAsync(name, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private Task AfterAsync(string name) => name.StartsWith(prefix, StringComparison.Ordinal) ? giveUp.CancelAsync() : Task.CompletedTask;
    }

    /// <summary>A store that can't read one object.</summary>
    private sealed class BadSectorStore(IObjectStore inner, string bad) : IObjectStore
    {
        public string Location => inner.Location;

        public Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => inner.PutAsync(name, content, cancellationToken);

        public Task<bool> TryPutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => inner.TryPutAsync(name, content, cancellationToken);

        public Task<byte[]?> GetAsync(string name, CancellationToken cancellationToken) =>
            name == bad ? throw new QuenchException("TEST-002", "a bad sector") : inner.GetAsync(name, cancellationToken);

        public ValueTask<bool> TryReadAsync(string name, long offset, Memory<byte> into, CancellationToken cancellationToken) =>
            inner.TryReadAsync(name, offset, into, cancellationToken);

        public IAsyncEnumerable<StoredObject> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

        public Task DeleteAsync(string name, CancellationToken cancellationToken) => inner.DeleteAsync(name, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
