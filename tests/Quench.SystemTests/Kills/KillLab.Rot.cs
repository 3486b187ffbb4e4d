using Quench.SystemTests.PowerCut;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.SystemTests.Kills;

/// <content>A third vault, which has parity, rots and is repaired.</content>
internal sealed partial class KillLab
{
    private const string RotTag = "rot";
    private static readonly ParitySettings s_parity = new(4, 1, 4096);

    private bool _mayBeRotten; // until a command has said that all is sound

    internal string RottingVault => _folder["rotting"];

    /// <summary>Damages one pack within the reach of its parity, loses the second copies of the ring and the newest manifest's primary.</summary>
    internal async Task RotAsync()
    {
        if (!Directory.Exists(RottingVault))
        {
            await MakeRottingAsync();
        }

        string[] packs = [.. FilesOf("packs").Order(StringComparer.Ordinal)];
        Flip(packs[_random.Next(packs.Length)]);
        string[] manifests = [.. FilesOf("points")];
        Flip(manifests[_random.Next(manifests.Length)]);
        File.Delete(Path.Combine(RottingVault, "copies", "ring", "00000001"));
        _mayBeRotten = true;
    }

    private async Task MakeRottingAsync()
    {
        VaultSettings settings = new() { ChunkSize = ChunkSize, Kdf = s_cheap, Parity = s_parity };
        CreatedVault made = await BackupVault.CreateAsync(
            new LocalDirectory(RottingVault), settings, s_password, TimeProvider.System, s_cheap, CancellationToken.None);
        await using BackupVault vault = made.Vault;
        for (int point = 1; point <= 3; point++)
        {
            byte[] content = new byte[Chunks * ChunkSize];
            _random.NextBytes(content);
            string tag = $"{RotTag}{point}";
            _contents.Add(tag, content);
            await VaultWork.BackUpAsync(vault, content, TimeProvider.System.GetUtcNow(), tag);
            _promised.Add((RottingVault, tag));
        }
    }

    /// <summary>A repair comes to its end, whatever an earlier one has left.</summary>
    private async Task DemandRepairAsync(BackupVault vault, string what)
    {
        RepairReport report = await vault.RepairAsync(new RepairOptions(), null, CancellationToken.None);
        Demand(report.IsSound, $"{what}: a repair leaves damage: {(report.IsSound ? "" : report.Unhealed[0].What)}");
        _mayBeRotten = false;
    }

    private IEnumerable<string> FilesOf(string folder) =>
        Directory.EnumerateFiles(Path.Combine(RottingVault, folder), "*", SearchOption.AllDirectories).Where(path => !Path.GetFileName(path).StartsWith('.'));

    /// <summary>Changes a byte where it lies.</summary>
    private void Flip(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        bytes[_random.Next(bytes.Length)] ^= (byte)(1 << _random.Next(8));
        File.WriteAllBytes(path, bytes);
    }
}
