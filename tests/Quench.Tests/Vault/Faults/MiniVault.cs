using System.Text;
using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault.Faults;

/// <summary>
/// The smallest vault that holds an object of every kind, as files by name, and what its points must restore to. A new kind of object gets a line in
/// <see cref="s_makers"/>.
/// </summary>
internal sealed class MiniVault
{
    private static readonly byte[] s_first = [.. NewRandom(3000), .. new byte[ChunkSize * 2], .. Enumerable.Repeat((byte)7, ChunkSize)];
    private static readonly byte[] s_second = [.. s_first.AsSpan(0, ChunkSize), .. "a second point"u8];

    /// <summary>Makes what the vault is to hold, in this order. Each works on the open vault; points that stay are noted with their content.</summary>
    private static readonly (string Kind, Func<BackupVault, MiniVault, Task> MakeAsync)[] s_makers =
    [
        ("first point", (vault, mini) => mini.BackUpAsync(vault, s_first)),
        ("second point", (vault, mini) => mini.BackUpAsync(vault, s_second)),
        ("a point that is forgotten and collected", ForgetAndCollectAsync),
        ("a removed key slot", RemoveKeyAsync),
        ("what was verified", VerifyAsync),
    ];

    private readonly Dictionary<Guid, byte[]> _contents = [];
    private byte[] _code = [];

    /// <summary>The sound objects, in the order of their names; not to be changed.</summary>
    internal IReadOnlyDictionary<string, byte[]> Objects { get; private set; } = new Dictionary<string, byte[]>();

    /// <summary>The commit key of the newest point: nothing in the vault tells that it was taken away. (docs/vault-format.md §12.3)</summary>
    internal string NewestCommit { get; private set; } = "";

    internal static async Task<MiniVault> MakeAsync()
    {
        MemoryStore store = new();
        (BackupVault vault, string code) = await CreateWithCodeAsync(store, parity: new ParitySettings(4, 1, 4096));
        MiniVault mini = new() { _code = Encoding.ASCII.GetBytes(code) };
        await using (vault)
        {
            foreach ((_, Func<BackupVault, MiniVault, Task> makeAsync) in s_makers)
            {
                await makeAsync(vault, mini);
            }
        }

        mini.Objects = new SortedDictionary<string, byte[]>(await SnapshotAsync(store), StringComparer.Ordinal);
        return mini;
    }

    /// <summary>The objects with one exchanged, or taken away when there is nothing in its place.</summary>
    internal Dictionary<string, byte[]> With(string name, byte[]? content)
    {
        Dictionary<string, byte[]> changed = new(Objects, StringComparer.Ordinal);
        changed.Remove(name);
        if (content is not null)
        {
            changed.Add(name, content);
        }

        return changed;
    }

    /// <summary>Whether two objects hold the same bytes, as a root and its copy do.</summary>
    internal bool AreSame(string one, string other) => Objects[one].AsSpan().SequenceEqual(Objects[other]);

    /// <summary>
    /// Whether damage is found, by opening, listing or verifying. Whatever can be restored nevertheless must be right: anything else fails the test.
    /// </summary>
    /// <param name="objects">The vault's objects now.</param>
    /// <param name="harmless">Answered true when all points are there and restore: nothing of it is worth a word.</param>
    internal async Task<bool> IsFoundAsync(Dictionary<string, byte[]> objects, bool harmless = false)
    {
        BackupVault vault;
        try
        {
            vault = await BackupVault.OpenAsync(await StoreOfAsync(objects), _code, TimeProvider.System, Token);
        }
        catch (QuenchException)
        {
            return true;
        }

        await using (vault)
        {
            int restored = 0;
            foreach (RecoveryPoint point in await vault.ListPointsAsync(Token))
            {
                restored += await RestoresAsync(vault, point) ? 1 : 0;
            }

            return (harmless && restored == _contents.Count) || !(await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound;
        }
    }

    private static async Task ForgetAndCollectAsync(BackupVault vault, MiniVault mini)
    {
        RecoveryPoint point = await BackupAsync(vault, NewRandom(500));
        await mini.BackUpAsync(vault, s_first); // names the forgotten one as its previous: so its tombstone stays
        await vault.ForgetAsync(await vault.PlanForgetAsync(new ForgetRequest { Points = [point.Id.ToString("N")] }, Token), [], "a test", Token);
        await vault.PruneAsync(await vault.PlanPruneAsync(new PruneSettings(), null, Token), null, Token);
    }

    private static async Task RemoveKeyAsync(BackupVault vault, MiniVault mini)
    {
        (Quench.Blocks.Buffers.SecretBytes code, Guid added) = await vault.AddRecoveryCodeAsync(Token);
        code.Dispose();
        await vault.RemoveKeyAsync(added, Token);
    }

    private static async Task VerifyAsync(BackupVault vault, MiniVault mini) =>
        await vault.RecordCheckAsync(await vault.VerifyAsync(null, VerifyLevel.Data, null, Token), Token);

    private static byte[] NewRandom(int length)
    {
        byte[] bytes = new byte[length];
        new Random(1).NextBytes(bytes);
        return bytes;
    }

    private async Task BackUpAsync(BackupVault vault, byte[] content)
    {
        RecoveryPoint point = await BackupAsync(vault, content);
        _contents[point.Id] = content;
        NewestCommit = $"commits/{point.SessionId:N}";
    }

    private async Task<bool> RestoresAsync(BackupVault vault, RecoveryPoint point)
    {
        bool whole = point.Volumes.Count > 0;
        foreach (VolumeRecord volume in point.Volumes)
        {
            try
            {
                Assert.Equal(_contents[point.Id], await RestoreAsync(vault, volume));
            }
            catch (QuenchException)
            {
                whole = false; // said, not restored wrongly
            }
        }

        return whole;
    }
}
