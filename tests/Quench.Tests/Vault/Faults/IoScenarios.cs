using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Faults;

/// <summary>
/// What is done while system calls fail. A new kind of work is one line in <see cref="All"/>: it works on the lab's vaults and tells the lab what it was
/// promised.
/// </summary>
internal static class IoScenarios
{
    internal static readonly IReadOnlyDictionary<string, Func<IoLab, Task>> All = new Dictionary<string, Func<IoLab, Task>>
    {
        ["init"] = lab => lab.InitAsync(),
        ["backup"] = lab => lab.BackupAsync(),
        ["list"] = lab => lab.ListAsync(),
        ["verify"] = lab => lab.VerifyAsync(),
        ["restore"] = lab => lab.RestoreAsync(),
        ["copy"] = lab => lab.CopyAsync(),
        ["delete"] = lab => lab.DeleteAsync(),
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

    private readonly DirectoryInfo _directory;
    private readonly List<(string Vault, Guid Point, byte[] Content)> _promised = [];
    private bool _made; // the third vault

    private IoLab(DirectoryInfo directory) => _directory = directory;

    /// <summary>Whether the work has come to its end and said so.</summary>
    internal bool Acknowledged { get; private set; }

    private string this[string name] => Path.Combine(_directory.FullName, name);

    /// <summary>Makes the vaults once; <see cref="CopyOf"/> is quick.</summary>
    internal static async Task<IoLab> CreateAsync()
    {
        IoLab lab = new(NewFolder());
        await using (BackupVault vault = await VaultLab.CreateAsync(new LocalDirectory(lab["from"])))
        {
            lab.Promise("from", await VaultLab.BackupAsync(vault, s_old), s_old);
        }

        await (await VaultLab.CreateAsync(new LocalDirectory(lab["to"]))).DisposeAsync();
        File.WriteAllBytes(Path.Combine(lab["from"], "points", ".tmp-" + new string('0', 32)), [1, 2, 3]);
        await new LocalDirectory(lab["from"]).PutAsync(SpareObject, new byte[10], Token);
        return lab;
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

    /// <summary>Demands that every promise is kept and that work goes on with no manual step.</summary>
    internal async Task DemandAsync()
    {
        foreach (string name in (string[])["from", "to"])
        {
            await using BackupVault vault = await OpenAsync(name);
            await DemandPromisesAsync(vault, name);
            RecoveryPoint next = await VaultLab.BackupAsync(vault, s_new);
            Assert.Equal(s_new, await VaultLab.RestoreAsync(vault, next.Volumes[0]));
            VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, Token);
            Assert.DoesNotContain(report.Damage, damage => !damage.What.Contains(SpareObject, StringComparison.Ordinal));
        }

        await DemandWholeOrNoneAsync();
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

    private Task<BackupVault> OpenAsync(string name) => VaultLab.OpenAsync(new LocalDirectory(this[name]));

    private void Promise(string vault, RecoveryPoint point, byte[] content) => _promised.Add((vault, point.Id, content));
}
