using System.Text;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

/// <summary>
/// A vault that was made once and is kept for ever: every later version must open and restore it. QUENCH_WRITE_GOLDEN=1 makes a new one
/// where none is; an existing one is never made anew.
/// </summary>
public sealed class GoldenVaultTests
{
    private static string Folder => Path.Combine(RepositoryRoot(), "tests", "Quench.Tests", "Vault", "Golden", "vault-1.0");

    private static byte[] First => [.. Encoding.ASCII.GetBytes("Golden vault, first point."), .. new byte[ChunkSize * 3], .. Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("block ", 4000)))];

    private static byte[] Second
    {
        get
        {
            byte[] content = First;
            content[ChunkSize + 5] = 0x42;
            return content;
        }
    }

    [Fact]
    public async Task The_vault_of_format_1_0_opens_verifies_and_restores()
    {
        if (Environment.GetEnvironmentVariable("QUENCH_WRITE_GOLDEN") == "1" && !Directory.Exists(Folder))
        {
            await WriteAsync();
        }

        await using BackupVault vault = await OpenAsync(await StoreOfAsync(ReadFiles()));
        Assert.Equal("1.0", vault.Info.Version);
        IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(Token);
        Assert.Equal(2, points.Count);
        Assert.Equal(First, await RestoreAsync(vault, points[0].Volumes[0]));
        Assert.Equal(Second, await RestoreAsync(vault, points[1].Volumes[0]));
        Assert.Equal("höst", points[1].Host);
        Assert.Equal("golden", Assert.Single(points[1].Tags));
        Assert.True((await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound);
    }

    [Fact]
    public async Task A_session_can_be_added_to_the_vault_of_format_1_0()
    {
        await using BackupVault vault = await OpenAsync(await StoreOfAsync(ReadFiles()));
        await using BackupSession session = await vault.BeginAsync("host", Token);
        RecoveryPoint point = await BackupAsync(vault, session, Second);
        Assert.Equal(0, session.Totals.NewChunks); // the ids are still the same
        Assert.Equal(0, session.Totals.NewPages);
        Assert.Equal(Second, await RestoreAsync(vault, point.Volumes[0]));
    }

    private static IEnumerable<KeyValuePair<string, byte[]>> ReadFiles() =>
        Directory.EnumerateFiles(Folder, "*", SearchOption.AllDirectories)
            .Select(path => KeyValuePair.Create(Path.GetRelativePath(Folder, path), File.ReadAllBytes(path)));

    private static async Task WriteAsync()
    {
        await using BackupVault vault = await CreateAsync(new LocalDirectory(Folder));
        foreach ((byte[] content, int day) in (List<(byte[], int)>)[(First, 1), (Second, 2)])
        {
            await using BackupSession session = await vault.BeginAsync("höst", Token);
            VolumeRecord volume = await ImageAsync(vault, session, content, "disk");
            DateTimeOffset instant = new(2026, 1, day, 0, 0, 0, TimeSpan.Zero);
            await session.CommitAsync(new PointDraft { Host = "höst", Instant = instant, Volumes = [volume], Tags = ["golden"] }, Token);
        }
    }
}
