using System.Diagnostics;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>Looks for every file on changed volumes: whatever the bytes, an answer comes soon and with little memory, and lies on the volume.</summary>
internal static class FileSearchFuzz
{
    private const int UsualRounds = 400;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    /// <param name="original">A volume without checksums, or whose checksums can be made right.</param>
    /// <param name="type">Its file system.</param>
    /// <param name="kinds">How many kinds of volumes share QUENCH_FUZZ_ROUNDS.</param>
    /// <param name="output">Told the seed and the counts.</param>
    /// <param name="checksums">What has one: those that are touched are made right again.</param>
    public static async Task RunAsync(byte[] original, string type, int kinds, ITestOutputHelper output, params SealedStructure[] checksums)
    {
        int seed = Knob.Seed;
        int rounds = Knob.Number("QUENCH_FUZZ_ROUNDS", UsualRounds * kinds) / kinds;
        Random random = new(seed);
        byte[] image = [.. original];
        await using TestVolume volume = TestVolume.Over(image);
        FileSystemFacts facts = new(type, "", "", 4096, image.Length, FileSystemState.Clean);
        VolumeAnalysis analysis = new(facts, UsedBlocks.All(image.Length), null);
        int[] interesting = [.. Enumerable.Range(0, image.Length / 64).Where(line => original.AsSpan(line * 64, 64).ContainsAnyExcept((byte)0) && IsMetadata(original.AsSpan(line * 64, 64)))];
        long most = 0;
        long whole = 0;
        TimeSpan longest = TimeSpan.Zero;
        for (int round = 0; round < rounds; round++)
        {
            List<int> touched = Mutate(image, interesting, random);
            List<SealedStructure> resealed = Seal(image, checksums, touched);
            long before = GC.GetAllocatedBytesForCurrentThread();
            (IReadOnlyList<SearchedFileSystem> found, TimeSpan took) = await SearchAsync(volume, analysis);
            most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
            if (took > s_patience)
            {
                (_, TimeSpan again) = await SearchAsync(volume, analysis); // this machine may be shared: what hangs, hangs twice
                took = again < took ? again : took;
            }

            longest = took > longest ? took : longest;
            FileFindings one = Assert.Single(found).Found;
            whole += one is { GivenUp: null, DoubtCount: 0 } ? 1 : 0;
            Assert.Equal(image.Length, one.Data.VolumeLength);
            Assert.True(one.GivenUp is null || one.Data.TotalLength == 0, $"seed {seed}, round {round}");
            Assert.True(one.Sums.Values.Sum(sum => sum.Bytes) == one.Data.TotalLength, $"seed {seed}, round {round}: the sums are not the map's");
            touched.ForEach(at => image[at] = original[at]);
            resealed.ForEach(one => one.ChecksumIn(original).CopyTo(one.ChecksumIn(image)));
        }

        output.WriteLine($"seed {seed}: {rounds} volumes, {whole} searched without a doubt; the longest took {longest.TotalMilliseconds:0} ms, the most memory {most} bytes");
        Assert.InRange(most, 1, 128 << 20);
        Assert.True(longest < s_patience, $"one took {longest}");
    }

    private static async Task<(IReadOnlyList<SearchedFileSystem> Found, TimeSpan Took)> SearchAsync(TestVolume volume, VolumeAnalysis analysis)
    {
        long start = Stopwatch.GetTimestamp();
        IReadOnlyList<SearchedFileSystem> found = await FileSearch.RunAsync(volume, analysis, new EveryFile(), long.MaxValue, TestContext.Current.CancellationToken);
        return (found, Stopwatch.GetElapsedTime(start));
    }

    private static List<SealedStructure> Seal(byte[] image, IReadOnlyList<SealedStructure> checksums, List<int> touched)
    {
        List<SealedStructure> resealed = [.. checksums.Where(one => touched.Exists(at => at >= one.At && at < one.At + one.Length))];
        resealed.ForEach(one => one.Seal(image));
        return resealed;
    }

    /// <summary>Random file content has hardly a zero in 64 bytes; structures have many.</summary>
    private static bool IsMetadata(ReadOnlySpan<byte> line) => line.Count((byte)0) > 4;

    private static List<int> Mutate(byte[] image, int[] interesting, Random random)
    {
        List<int> touched = [];
        for (int change = random.Next(1, 6); change > 0; change--)
        {
            int at = (interesting[random.Next(interesting.Length)] * 64) + random.Next(64);
            int manner = random.Next(4);
            for (int index = at; index < Math.Min(image.Length, at + (random.Next(4) == 0 ? 4 : 1)); index++)
            {
                touched.Add(index);
                image[index] = manner switch { 0 => (byte)random.Next(256), 1 => (byte)(image[index] ^ (1 << random.Next(8))), 2 => 0, _ => 255 };
            }
        }

        return touched;
    }
}
