using System.Text;
using Quench.Blocks;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

/// <summary>
/// Every bit and every length of every object of a small vault. One of 17 is tried unless QUENCH_PART says which: "0/1" is all of them,
/// "2/8" the third eighth.
/// </summary>
public sealed class VaultDamageTests
{
    private static readonly int[] s_part =
        [.. (Environment.GetEnvironmentVariable("QUENCH_PART") ?? "0/17").Split('/').Select(number => int.Parse(number, System.Globalization.CultureInfo.InvariantCulture))];

    private readonly Dictionary<string, byte[]> _contents = [];
    private byte[] _code = [];

    private static int Phase => s_part[0];

    private static int Stride => s_part[1];

    [Fact]
    public async Task Every_flipped_bit_is_found_and_no_wrong_byte_is_restored()
    {
        Dictionary<string, byte[]> sound = await NewMiniVaultAsync();
        long flips = 0;
        List<string> missed = [];
        foreach ((string name, byte[] bytes) in sound)
        {
            for (long bit = Phase; bit < bytes.Length * 8L; bit += Stride, flips++)
            {
                bytes[bit / 8] ^= (byte)(1 << (int)(bit % 8));
                if (!await IsFoundAsync(sound))
                {
                    missed.Add($"{name} bit {bit}");
                }

                bytes[bit / 8] ^= (byte)(1 << (int)(bit % 8));
            }
        }

        TestContext.Current.SendDiagnosticMessage($"{flips} flips (part {Phase}/{Stride}) in {sound.Count} objects, {sound.Values.Sum(b => b.Length)} bytes: {missed.Count} missed");
        Assert.Empty(missed);
        Assert.True(flips > 1000);
    }

    [Fact]
    public async Task Every_truncation_and_every_lost_object_is_found()
    {
        Dictionary<string, byte[]> sound = await NewMiniVaultAsync();
        List<string> missed = [];
        int tried = 0;
        foreach (string name in sound.Keys.ToList())
        {
            byte[] whole = sound[name];
            for (int length = Phase; length < whole.Length; length += Stride, tried++)
            {
                sound[name] = whole[..length];
                if (!await IsFoundAsync(sound))
                {
                    missed.Add($"{name} cut to {length}");
                }
            }

            sound[name] = [.. whole, 0];
            if (!await IsFoundAsync(sound))
            {
                missed.Add($"{name} with a byte more");
            }

            sound[name] = whole;
        }

        TestContext.Current.SendDiagnosticMessage($"{tried} truncations (part {Phase}/{Stride}): {missed.Count} missed");
        Assert.Empty(missed);
    }

    [Fact]
    public async Task Objects_that_change_places_are_found()
    {
        Dictionary<string, byte[]> sound = await NewMiniVaultAsync();
        Dictionary<string, byte[]> other = await NewMiniVaultAsync();
        string[] names = [.. sound.Keys];
        for (int i = 0; i < names.Length; i++)
        {
            for (int j = i + 1; j < names.Length; j++)
            {
                if (sound[names[i]].AsSpan().SequenceEqual(sound[names[j]]))
                {
                    continue; // a root and its copy
                }

                (sound[names[i]], sound[names[j]]) = (sound[names[j]], sound[names[i]]);
                Assert.True(await IsFoundAsync(sound), $"{names[i]} and {names[j]} swapped");
                (sound[names[i]], sound[names[j]]) = (sound[names[j]], sound[names[i]]);
            }
        }

        foreach (string name in other.Keys)
        {
            string kind = name[..(name.IndexOf('/', StringComparison.Ordinal) + 1)];
            string here = names.First(mine => mine.StartsWith(kind.Length == 0 ? "format" : kind, StringComparison.Ordinal));
            byte[] mine = sound[here];
            sound[here] = other[name];
            Assert.True(await IsFoundAsync(sound), $"{here} from another vault");
            sound[here] = mine;
        }
    }

    private async Task<Dictionary<string, byte[]>> NewMiniVaultAsync()
    {
        MemoryStore store = new();
        (BackupVault vault, string code) = await CreateWithCodeAsync(store);
        _code = Encoding.ASCII.GetBytes(code);
        _contents.Clear();
        byte[] random = new byte[3000];
        new Random(1).NextBytes(random);
        byte[] first = [.. random, .. new byte[ChunkSize * 2], .. Enumerable.Repeat((byte)7, ChunkSize)];
        byte[] second = [.. first.AsSpan(0, ChunkSize), .. Encoding.ASCII.GetBytes("a second point")];
        _contents[(await BackupAsync(vault, first)).Id.ToString()] = first;
        _contents[(await BackupAsync(vault, second)).Id.ToString()] = second;
        await vault.DisposeAsync();
        return await SnapshotAsync(store);
    }

    /// <summary>Whether damage is found by opening, listing or verifying. Whatever can be restored nevertheless must be right.</summary>
    private async Task<bool> IsFoundAsync(Dictionary<string, byte[]> objects)
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
            foreach (RecoveryPoint point in await vault.ListPointsAsync(Token))
            {
                await CheckRestoredAsync(vault, point);
            }

            return !(await vault.VerifyAsync(null, VerifyLevel.Data, null, Token)).IsSound;
        }
    }

    private async Task CheckRestoredAsync(BackupVault vault, RecoveryPoint point)
    {
        foreach (VolumeRecord volume in point.Volumes)
        {
            try
            {
                Assert.Equal(_contents[point.Id.ToString()], await RestoreAsync(vault, volume));
            }
            catch (QuenchException)
            {
                // said, not restored wrongly
            }
        }
    }
}
