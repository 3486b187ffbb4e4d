using System.Diagnostics;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>Throws changed volumes at the recogniser: whatever the bytes, it answers soon, with little memory, a map or everything in use.</summary>
internal static class AnalyserFuzz
{
    /// <summary>A volume, where its metadata lie, and how its checksums are made right again.</summary>
    public sealed record Subject(byte[] Image, IReadOnlyList<Extent> Metadata, Action<byte[]> Seal);

    public static async Task RunAsync(IReadOnlyList<Subject> subjects, long mostBytes, ITestOutputHelper output)
    {
        int seed = Knob.Seed;
        int rounds = Knob.Number("QUENCH_FUZZ_ROUNDS", 400);
        Random random = new(seed);
        long most = 0;
        int maps = 0;
        TimeSpan longest = TimeSpan.Zero;
        foreach (Subject subject in subjects)
        {
            byte[] image = [.. subject.Image];
            await using TestVolume volume = TestVolume.Over(image);
            for (int round = 0; round < rounds; round++)
            {
                List<int> touched = Mutate(subject, image, random);
                long before = GC.GetAllocatedBytesForCurrentThread();
                long start = Stopwatch.GetTimestamp();
                VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, (VolumeCondition)random.Next(3), TestContext.Current.CancellationToken);
                longest = TimeSpan.FromTicks(Math.Max(longest.Ticks, Stopwatch.GetElapsedTime(start).Ticks));
                most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
                maps += ours.Doubt is null ? 1 : 0;
                Assert.Equal(image.Length, ours.Used.VolumeLength);
                Assert.True(ours.Doubt is null || ours.Used.TotalLength == image.Length, $"seed {seed}, round {round}");
                touched.ForEach(at => image[at] = subject.Image[at]);
                foreach (Extent extent in subject.Metadata)
                {
                    subject.Image.AsSpan((int)extent.Offset, (int)extent.Length).CopyTo(image.AsSpan((int)extent.Offset));
                }
            }
        }

        output.WriteLine($"seed {seed}: {rounds * subjects.Count} volumes, {maps} still mapped; the longest took {longest.TotalMilliseconds:0} ms, the most memory {most} bytes");
        Assert.InRange(most, 1, mostBytes);
        Assert.True(longest < TimeSpan.FromSeconds(5), $"one took {longest}"); // a second alone; this machine may be shared
    }

    /// <summary>Changes a few bytes or words, most of them in metadata, and mostly makes the checksums right again.</summary>
    private static List<int> Mutate(Subject subject, byte[] image, Random random)
    {
        List<int> touched = [];
        int count = random.Next(1, 5);
        for (int change = 0; change < count; change++)
        {
            Extent where = random.Next(8) == 0 ? new Extent(0, image.Length) : subject.Metadata[random.Next(subject.Metadata.Count)];
            int at = (int)where.Offset + random.Next((int)where.Length);
            int width = Math.Min(random.Next(4) == 0 ? 4 : 1, image.Length - at);
            int manner = random.Next(4);
            for (int index = at; index < at + width; index++)
            {
                touched.Add(index);
                image[index] = manner switch { 0 => (byte)random.Next(256), 1 => (byte)(image[index] ^ (1 << random.Next(8))), 2 => 0, _ => 255 };
            }
        }

        if (random.Next(5) > 0)
        {
            subject.Seal(image);
        }

        return touched;
    }
}
