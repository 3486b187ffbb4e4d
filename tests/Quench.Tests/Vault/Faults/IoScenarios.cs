using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Faults;

/// <summary>Work that is done while system calls fail.</summary>
/// <param name="Work">Works on the lab's vaults and tells the lab what it was promised.</param>
internal sealed record IoScenario(Func<IoLab, Task> Work)
{
    /// <summary>What is done to the vaults before, once, while nothing fails.</summary>
    internal Func<IoLab, Task> Prepare { get; init; } = _ => Task.CompletedTask;

    /// <summary>Whether the work, when it has failed, can simply be done again, with no manual step in between.</summary>
    internal bool CanBeRepeated { get; init; } = true;

    /// <summary>All of them. A new kind of work is one line here.</summary>
    internal static readonly IReadOnlyDictionary<string, IoScenario> All = new Dictionary<string, IoScenario>
    {
        ["init"] = new(lab => lab.InitAsync()) { CanBeRepeated = false }, // refused when it has come far enough
        ["backup"] = new(lab => lab.BackupAsync()),
        ["list"] = new(lab => lab.ListAsync()),
        ["verify"] = new(lab => lab.VerifyAsync()),
        ["restore"] = new(lab => lab.RestoreAsync()),
        ["copy"] = new(lab => lab.CopyAsync()),
        ["delete"] = new(lab => lab.DeleteAsync()),
        ["forget"] = new(lab => lab.ForgetAsync()) { Prepare = lab => lab.AddPointsAsync() },
        ["prune"] = new(lab => lab.PruneAsync())
        {
            Prepare = async lab =>
            {
                await lab.AddPointsAsync();
                await lab.ForgetAsync();
            },
        },
        ["repair"] = new(lab => lab.RepairAsync()) { Prepare = lab => lab.HurtAsync() },
        ["key add"] = new(lab => lab.AddKeyAsync()),
        ["key remove"] = new(lab => lab.RemoveKeyAsync()) { Prepare = lab => lab.AddKeyAsync() },
        ["key passwd"] = new(lab => lab.ChangePasswordAsync()),
    };
}

/// <summary>
/// Two vaults in directories, the first with a point, and what has been promised about them. A put was interrupted there once, so there is something
/// to sweep.
/// </summary>
internal sealed class IoLab : IDisposable
{
    private const string SpareObject = "packs/00/00000000000000000000000000000000";

    private static readonly byte[] s_old = NewContent(11, (ChunkSize * 6) + 100);
    private static readonly byte[] s_new = NewContent(12, ChunkSize * 8);
    private static readonly byte[] s_newPassword = "battery staple"u8.ToArray();
    private static readonly ParitySettings s_parity = new(4, 1, 4096);

    private readonly DirectoryInfo _directory;
    private readonly List<(string Vault, Guid Point, byte[] Content)> _promised = [];
    private readonly List<Guid> _passing = []; // points of the first vault that are there to be forgotten
    private bool _made; // the third vault
    private bool _isHurt; // the fourth vault
    private byte[]? _mustOpen; // a password of the first vault that has been promised to open it
    private byte[]? _mustNotOpen;
    private Guid _slotToRemove;

    private IoLab(DirectoryInfo directory) => _directory = directory;

    /// <summary>Whether the work has come to its end and said so.</summary>
    internal bool Acknowledged { get; private set; }

    private IEnumerable<string> Vaults => ((string[])["from", "to", "hurt"]).Where(name => Directory.Exists(this[name]));

    private string this[string name] => Path.Combine(_directory.FullName, name);

    /// <summary>Makes the vaults once; <see cref="CopyOf"/> is quick.</summary>
    internal static async Task<IoLab> CreateAsync(IoScenario scenario)
    {
        IoLab lab = new(NewFolder());
        await lab.MakeAsync();
        await scenario.Prepare(lab);
        lab.Acknowledged = false;
        return lab;
    }

    private async Task MakeAsync()
    {
        await using (BackupVault vault = await VaultLab.CreateAsync(new LocalDirectory(this["from"])))
        {
            Promise("from", await VaultLab.BackupAsync(vault, s_old), s_old);
        }

        await (await VaultLab.CreateAsync(new LocalDirectory(this["to"]))).DisposeAsync();
        File.WriteAllBytes(Path.Combine(this["from"], "points", ".tmp-" + new string('0', 32)), [1, 2, 3]);
        await new LocalDirectory(this["from"]).PutAsync(SpareObject, new byte[10], Token);
    }

    internal static IoLab CopyOf(IoLab other)
    {
        IoLab lab = new(NewFolder());
        foreach (string file in Directory.EnumerateFiles(other._directory.FullName, "*", SearchOption.AllDirectories))
        {
            string copy = lab[Path.GetRelativePath(other._directory.FullName, file)];
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        lab._promised.AddRange(other._promised);
        lab._passing.AddRange(other._passing);
        lab._isHurt = other._isHurt;
        lab._mustOpen = other._mustOpen;
        lab._slotToRemove = other._slotToRemove;
        return lab;
    }

    public void Dispose() => _directory.Delete(recursive: true);

    internal async Task InitAsync()
    {
        await (await VaultLab.CreateAsync(new LocalDirectory(this["made/new"]))).DisposeAsync();
        Acknowledged = _made = true;
    }

    internal async Task BackupAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        RecoveryPoint point = await VaultLab.BackupAsync(vault, s_new);
        Promise("from", point, s_new);
        Acknowledged = true;
    }

    internal async Task ListAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        RecoveryPoint point = Assert.Single(await vault.ListPointsAsync(Token));
        Assert.Null(point.Damage);
        Acknowledged = true;
    }

    internal async Task VerifyAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
        Assert.DoesNotContain(report.Damage, damage => damage.Point is not null); // no alarm about a point that is sound
        Assert.Equal(1, report.Points);
        Acknowledged = true;
    }

    internal async Task RestoreAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        RecoveryPoint point = (await vault.FindPointAsync("latest", Token))!;
        Assert.Equal(s_old, await VaultLab.RestoreAsync(vault, point.Volumes[0]));
        Acknowledged = true;
    }

    internal async Task CopyAsync()
    {
        await using BackupVault from = await OpenAsync("from");
        await using BackupVault to = await OpenAsync("to");
        CopiedPoint copied = await new PointCopier(from, to, null).CopyAsync((await from.FindPointAsync("latest", Token))!, Token);
        Promise("to", copied.Copy, s_old);
        Acknowledged = true;
    }

    internal async Task DeleteAsync()
    {
        LocalDirectory store = new(this["from"]);
        await store.PutAsync(SpareObject, new byte[10], Token); // again, with the same bytes
        await store.DeleteAsync(SpareObject, Token);
        Assert.Null(await store.GetAsync(SpareObject, Token));
        Acknowledged = true;
    }

    /// <summary>Adds points that are there to be forgotten: one that shares little with what stays, and one that shares nothing.</summary>
    internal async Task AddPointsAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        byte[] wide = NewContent(13, ChunkSize * 12);
        byte[] narrow = wide[..(ChunkSize * 2)];
        _passing.Add((await VaultLab.BackupAsync(vault, wide)).Id);
        _passing.Add((await VaultLab.BackupAsync(vault, NewContent(14, ChunkSize * 5))).Id);
        Promise("from", await VaultLab.BackupAsync(vault, narrow), narrow);
    }

    internal async Task ForgetAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        string[] left = [.. (await vault.ListPointsAsync(Token)).Where(point => _passing.Contains(point.Id)).Select(point => point.Id.ToString("N"))];
        if (left.Length > 0)
        {
            ForgetPlan plan = await vault.PlanForgetAsync(new ForgetRequest { Points = left }, Token);
            await vault.ForgetAsync(plan, Enum.GetValues<ForgetConcernKind>(), "a test", Token);
        }

        Acknowledged = true;
    }

    internal async Task PruneAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        await vault.PruneAsync(await vault.PlanPruneAsync(new PruneSettings(), null, Token), null, Token);
        Acknowledged = true;
    }

    /// <summary>Makes a vault in which a pack of the second point has rotted within the reach of its parity, and roots are damaged and lost.</summary>
    internal async Task HurtAsync()
    {
        _isHurt = true;
        string folder = this["hurt"];
        RecoveryPoint point;
        string[] firstPacks;
        await using (BackupVault vault = (await VaultLab.CreateWithCodeAsync(new LocalDirectory(folder), parity: s_parity)).Vault)
        {
            Promise("hurt", await VaultLab.BackupAsync(vault, s_old), s_old);
            firstPacks = Packs(folder);
            point = await VaultLab.BackupAsync(vault, s_new);
            Promise("hurt", point, s_new);
        }

        Flip(Packs(folder).Except(firstPacks).MaxBy(pack => new FileInfo(pack).Length)!, 5000);
        Flip(Path.Combine(folder, "points", point.Id.ToString("N")), 60);
        File.Delete(Path.Combine(folder, "config", "00000001"));
        File.Delete(Path.Combine(folder, "copies", "ring", "00000001"));
    }

    internal async Task RepairAsync()
    {
        await using BackupVault vault = await OpenAsync("hurt");
        RepairReport report = await vault.RepairAsync(new RepairOptions(), null, Token);
        Acknowledged = report.IsSound;
        _isHurt = !report.IsSound;
    }

    internal async Task AddKeyAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        _slotToRemove = await vault.AddPasswordAsync(s_newPassword, Cheap, Cheap, Token);
        _mustOpen = s_newPassword;
        Acknowledged = true;
    }

    internal async Task RemoveKeyAsync()
    {
        _mustOpen = null;
        await using BackupVault vault = await OpenAsync("from");
        if ((await vault.ListKeysAsync(Token)).Any(slot => slot.Id == _slotToRemove))
        {
            await vault.RemoveKeyAsync(_slotToRemove, Token);
        }

        _mustNotOpen = s_newPassword;
        Acknowledged = true;
    }

    internal async Task ChangePasswordAsync()
    {
        await using BackupVault vault = await OpenAsync("from");
        await vault.ChangePasswordAsync(null, s_newPassword, Cheap, Cheap, Token);
        _mustOpen = s_newPassword;
        _mustNotOpen = Password;
        Acknowledged = true;
    }

    /// <summary>Demands that every promise is kept and that work goes on with no manual step.</summary>
    internal async Task DemandAsync()
    {
        await DemandKeptAsync();
        foreach (string name in Vaults)
        {
            await using BackupVault vault = await OpenAsync(name);
            if (_isHurt)
            {
                Assert.True((await vault.RepairAsync(new RepairOptions(), null, Token)).IsSound);
            }

            await DemandPromisesAsync(vault, name);
            RecoveryPoint next = await VaultLab.BackupAsync(vault, s_new);
            Assert.Equal(s_new, await VaultLab.RestoreAsync(vault, next.Volumes[0]));
            VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
            Assert.DoesNotContain(report.Damage, damage => !damage.What.Contains(SpareObject, StringComparison.Ordinal));
        }

        await DemandWholeOrNoneAsync();
    }

    /// <summary>Demands that every promise is kept; changes nothing.</summary>
    internal async Task DemandKeptAsync()
    {
        await DemandKeysAsync();
        foreach (string name in Vaults)
        {
            await using BackupVault vault = await OpenAsync(name);
            if (_isHurt && name == "hurt")
            {
                await DemandOneIsThereAsync(vault);
            }
            else
            {
                await DemandPromisesAsync(vault, name);
            }
        }
    }

    private async Task DemandPromisesAsync(BackupVault vault, string name)
    {
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(Token);
        foreach ((_, Guid id, byte[] content) in _promised.Where(promise => promise.Vault == name))
        {
            RecoveryPoint point = Assert.Single(points, point => point.Id == id);
            Assert.Equal(content, await VaultLab.RestoreAsync(vault, point.Volumes[0]));
        }
    }

    /// <summary>What has not rotted restores before the repair, after one that failed, and after the next.</summary>
    private async Task DemandOneIsThereAsync(BackupVault vault)
    {
        (_, Guid id, byte[] content) = _promised.First(promise => promise.Vault == "hurt");
        RecoveryPoint point = Assert.Single(await vault.ListPointsAsync(Token), point => point.Id == id);
        Assert.Equal(content, await VaultLab.RestoreAsync(vault, point.Volumes[0]));
    }

    /// <summary>A key that was promised opens the first vault, and one that was removed does not.</summary>
    private async Task DemandKeysAsync()
    {
        if (_mustOpen is not null)
        {
            Assert.True(await OpensAsync(_mustOpen), "a password that was added does not open the vault");
        }

        if (_mustNotOpen is not null)
        {
            Assert.False(await OpensAsync(_mustNotOpen), "a password that was removed opens the vault");
        }
    }

    private async Task<bool> OpensAsync(byte[] password)
    {
        try
        {
            await using BackupVault vault = await BackupVault.OpenAsync(new LocalDirectory(this["from"]), password, TimeProvider.System, Token);
            return true;
        }
        catch (QuenchException failure) when (failure.Code == "VAULT-002")
        {
            return false;
        }
    }

    private static string[] Packs(string vault) => Directory.GetFiles(Path.Combine(vault, "packs"), "*", SearchOption.AllDirectories);

    private static void Flip(string path, int from)
    {
        byte[] bytes = File.ReadAllBytes(path);
        bytes[from] ^= 0x10;
        File.WriteAllBytes(path, bytes);
    }

    /// <summary>What was to be made is a whole vault, or nobody was told that it is one.</summary>
    private async Task DemandWholeOrNoneAsync()
    {
        bool isThere = File.Exists(Path.Combine(this["made/new"], "format"));
        Assert.True(isThere || !_made);
        if (isThere)
        {
            await (await OpenAsync("made/new")).DisposeAsync();
        }
    }

    private static DirectoryInfo NewFolder() => Directory.Exists("/dev/shm")
        ? Directory.CreateDirectory(Path.Combine("/dev/shm", $"quench-test-{Guid.NewGuid():N}"))
        : Directory.CreateTempSubdirectory("quench-test-");

    /// <summary>Opens a vault with the password of all of them, or with the new one where it has been changed.</summary>
    private async Task<BackupVault> OpenAsync(string name)
    {
        try
        {
            return await VaultLab.OpenAsync(new LocalDirectory(this[name]));
        }
        catch (QuenchException failure) when (failure.Code == "VAULT-002")
        {
            return await BackupVault.OpenAsync(new LocalDirectory(this[name]), s_newPassword, TimeProvider.System, Token);
        }
    }

    private void Promise(string vault, RecoveryPoint point, byte[] content) => _promised.Add((vault, point.Id, content));
}
