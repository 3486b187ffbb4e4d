using System.Collections.Concurrent;
using Quench.Tests.Vault.Faults;
using Quench.Vault.Format;
using Xunit;

namespace Quench.Tests.Vault;

/// <summary>
/// Every bit and every length of every object of a small vault. One of 97 is tried unless QUENCH_PART says which: "0/1" is all of them,
/// "2/8" the third eighth.
/// </summary>
public sealed class VaultDamageTests
{
    /// <summary>Kinds of object that no program writes yet; whoever writes one takes it out and adds it to <see cref="MiniVault"/>.</summary>
    private static readonly string[] s_notWritten = [];

    private static readonly int[] s_part =
        [.. (Environment.GetEnvironmentVariable("QUENCH_PART") ?? "0/97").Split('/').Select(number => int.Parse(number, System.Globalization.CultureInfo.InvariantCulture))];

    private static readonly ParallelOptions s_lanes = new() { MaxDegreeOfParallelism = Environment.ProcessorCount };

    private static int Phase => s_part[0];

    private static int Stride => s_part[1];

    [Fact]
    public async Task The_small_vault_holds_every_kind_of_object()
    {
        MiniVault mini = await MiniVault.MakeAsync();
        IEnumerable<string> lacking = ObjectNames.All.Where(kind => !mini.Objects.Keys.Any(name => name.StartsWith(kind, StringComparison.Ordinal)));
        Assert.Equal(s_notWritten.Order(), lacking.Order());
    }

    [Fact]
    public async Task Every_flipped_bit_is_found_and_no_wrong_byte_is_restored()
    {
        MiniVault mini = await MiniVault.MakeAsync();
        IEnumerable<(string Name, long Bit)> flips = mini.Objects.SelectMany(found =>
            Every(found.Value.Length * 8L).Select(bit => (found.Key, bit)));
        int tried = await TryAllAsync(flips, "flips", flip => $"{flip.Name} bit {flip.Bit}", async flip =>
        {
            byte[] bytes = [.. mini.Objects[flip.Name]];
            bytes[flip.Bit / 8] ^= (byte)(1 << (int)(flip.Bit % 8));
            return await mini.IsFoundAsync(mini.With(flip.Name, bytes));
        });
        Assert.True(tried > 1000);
    }

    [Fact]
    public async Task Every_truncation_is_found()
    {
        MiniVault mini = await MiniVault.MakeAsync();
        IEnumerable<(string Name, long Length)> cuts = mini.Objects.SelectMany(found =>
            Every(found.Value.Length).Append(found.Value.Length + 1).Select(length => (found.Key, length)));
        await TryAllAsync(cuts, "lengths", cut => $"{cut.Name} with {cut.Length} bytes", async cut =>
        {
            byte[] bytes = mini.Objects[cut.Name];
            return await mini.IsFoundAsync(mini.With(cut.Name, cut.Length > bytes.Length ? [.. bytes, 0] : bytes[..(int)cut.Length]));
        });
    }

    [Fact]
    public async Task A_lost_object_is_found_or_nobody_needs_it()
    {
        MiniVault mini = await MiniVault.MakeAsync();
        await TryAllAsync(
            mini.Objects.Keys.Where(name => name != mini.NewestCommit), "losses", name => $"{name} lost",
            name => mini.IsFoundAsync(mini.With(name, null), harmless: true));
    }

    [Fact]
    public async Task Objects_that_change_places_are_found()
    {
        MiniVault mini = await MiniVault.MakeAsync();
        string[] names = [.. mini.Objects.Keys];
        IEnumerable<(string One, string Other)> swaps = names.SelectMany((one, i) => names.Skip(i + 1).Where(other => !mini.AreSame(one, other)).Select(other => (one, other)));
        await TryAllAsync(swaps, "swaps", swap => $"{swap.One} and {swap.Other} swapped", async swap =>
        {
            Dictionary<string, byte[]> objects = mini.With(swap.One, mini.Objects[swap.Other]);
            objects[swap.Other] = mini.Objects[swap.One];
            return await mini.IsFoundAsync(objects);
        });
    }

    [Fact]
    public async Task Objects_that_stand_in_for_others_are_found()
    {
        MiniVault mini = await MiniVault.MakeAsync();
        IEnumerable<(string From, string To)> pairs = mini.Objects.Keys.SelectMany(from => mini.Objects.Keys.Where(to => !mini.AreSame(from, to)).Select(to => (from, to)));
        await TryAllAsync(pairs, "doubles", pair => $"{pair.From} in the place of {pair.To}", pair => mini.IsFoundAsync(mini.With(pair.To, mini.Objects[pair.From])));
        await TryAllAsync(
            mini.Objects.Keys.Where(name => ObjectNames.TryParseId(name, out _)), "copies", name => $"a copy of {name} under a name of its own",
            name => mini.IsFoundAsync(mini.With(name[..^4] + "0000", mini.Objects[name]), harmless: IsParity(name)));
    }

    [Fact]
    public async Task Objects_of_another_vault_are_found()
    {
        MiniVault mini = await MiniVault.MakeAsync();
        MiniVault other = await MiniVault.MakeAsync();
        IEnumerable<(string Theirs, string Ours)> pairs = other.Objects.Keys.SelectMany(theirs =>
            mini.Objects.Keys.Where(ours => KindOf(ours) == KindOf(theirs)).Select(ours => (theirs, ours)));
        await TryAllAsync(pairs, "foreigners", pair => $"{pair.Ours} from another vault", pair => mini.IsFoundAsync(mini.With(pair.Ours, other.Objects[pair.Theirs])));
        await TryAllAsync(
            other.Objects.Keys.Where(theirs => !mini.Objects.ContainsKey(theirs)), "guests", name => $"{name} of another vault beside ours",
            name => mini.IsFoundAsync(mini.With(name, other.Objects[name]), harmless: IsParity(name)));
    }

    /// <summary>Parity without a pack is nothing: its pack may be on its way, or on its way out.</summary>
    private static bool IsParity(string name) => name.StartsWith(ObjectNames.Parities, StringComparison.Ordinal);

    private static string KindOf(string name) => name[..(name.IndexOf('/', StringComparison.Ordinal) + 1)];

    private static IEnumerable<long> Every(long count)
    {
        for (long i = Phase; i < count; i += Stride)
        {
            yield return i;
        }
    }

    /// <summary>Tries every case on all cores and demands that each is found.</summary>
    /// <returns>How many there were.</returns>
    private static async Task<int> TryAllAsync<T>(IEnumerable<T> cases, string what, Func<T, string> name, Func<T, Task<bool>> isFoundAsync)
    {
        ConcurrentBag<string> missed = [];
        int tried = 0;
        await Parallel.ForEachAsync(cases, s_lanes, async (one, _) =>
        {
            Interlocked.Increment(ref tried);
            if (!await isFoundAsync(one))
            {
                missed.Add(name(one));
            }
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"{tried} {what} (part {Phase}/{Stride}): {missed.Count} missed");
        Assert.Empty(missed);
        return tried;
    }
}
