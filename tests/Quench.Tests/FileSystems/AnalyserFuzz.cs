using System.Diagnostics;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>Throws changed volumes at the recogniser: whatever the bytes, it answers soon, with little memory, a map or everything in use.</summary>
/// <remarks>
/// What has led to an answer that was new is changed further: so later inputs get past what the earlier ones ended at. The first input of each kind of answer is kept in
/// <see cref="FuzzCorpus"/>, and so are the volumes that all of them began as.
/// </remarks>
internal static class AnalyserFuzz
{
    private const int UsualRounds = 400;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    /// <summary>A volume, where its metadata lie, and how its checksums are made right again, which changes nothing but metadata.</summary>
    public sealed record Subject(string Name, byte[] Image, IReadOnlyList<Extent> Metadata, Action<byte[]> Seal);

    /// <summary>Runs QUENCH_FUZZ_ROUNDS inputs, which the subjects share.</summary>
    public static async Task RunAsync(IReadOnlyList<Subject> subjects, long mostBytes, ITestOutputHelper output)
    {
        int seed = Knob.Seed;
        int rounds = Knob.Number("QUENCH_FUZZ_ROUNDS", UsualRounds * subjects.Count) / subjects.Count;
        foreach (Subject subject in subjects)
        {
            FuzzCorpus corpus = FuzzCorpus.Begin(subject);
            Random random = new(seed);
            byte[] image = [.. subject.Image];
            await using TestVolume volume = TestVolume.Over(image);
            long started = Stopwatch.GetTimestamp();
            long most = 0;
            int maps = 0;
            TimeSpan longest = TimeSpan.Zero;
            for (int round = 0; round < rounds; round++)
            {
                List<int> touched = Mutate(subject, corpus, image, random);
                VolumeCondition condition = (VolumeCondition)random.Next(3);
                long before = GC.GetAllocatedBytesForCurrentThread();
                (VolumeAnalysis ours, TimeSpan took) = await AnalyseAsync(volume, condition);
                most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
                if (took > s_patience)
                {
                    (_, TimeSpan again) = await AnalyseAsync(volume, condition); // this machine may be shared: what hangs, hangs twice
                    took = again < took ? again : took;
                }

                longest = took > longest ? took : longest;
                maps += ours.Doubt is null ? 1 : 0;
                Assert.True(took < s_patience, $"{subject.Name}, seed {seed}, round {round}: it took {took}");
                Assert.True(ours.Used.VolumeLength == image.Length && (ours.Doubt is null || ours.Used.TotalLength == image.Length), $"{subject.Name}, seed {seed}, round {round}: {ours.Doubt}");
                corpus.Consider(image, touched, condition, ours);
                subject.Restore(image, touched);
            }

            corpus.End();
            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            output.WriteLine($"{subject.Name}, seed {seed}: {rounds} volumes in {seconds:0.0} s, {maps} still mapped, {corpus.Count} kinds of answers; the longest took {longest.TotalMilliseconds:0} ms, the most memory {most} bytes");
            Assert.InRange(most, 1, mostBytes);
        }
    }

    /// <summary>Takes back what was changed.</summary>
    public static void Restore(this Subject subject, byte[] image, List<int> touched)
    {
        touched.ForEach(at => image[at] = subject.Image[at]);
        foreach (Extent extent in subject.Metadata)
        {
            subject.Image.AsSpan((int)extent.Offset, (int)extent.Length).CopyTo(image.AsSpan((int)extent.Offset));
        }
    }

    private static async Task<(VolumeAnalysis Ours, TimeSpan Took)> AnalyseAsync(TestVolume volume, VolumeCondition condition)
    {
        long start = Stopwatch.GetTimestamp();
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, condition, TestContext.Current.CancellationToken);
        return (ours, Stopwatch.GetElapsedTime(start));
    }

    /// <summary>Changes a few fields, most of them in metadata, often of an input that led somewhere new, and mostly makes the checksums right again.</summary>
    private static List<int> Mutate(Subject subject, FuzzCorpus corpus, byte[] image, Random random)
    {
        List<int> touched = [];
        if (random.Next(2) == 0)
        {
            corpus.ApplyAny(image, touched, random);
        }

        int count = random.Next(1, 5);
        for (int change = 0; change < count; change++)
        {
            Extent where = random.Next(8) == 0 ? new Extent(0, image.Length) : subject.Metadata[random.Next(subject.Metadata.Count)];
            int width = 1 << random.Next(4);
            int at = (int)where.Offset + random.Next((int)where.Length);
            at = Math.Min(random.Next(4) == 0 ? at : at / width * width, image.Length - width);
            for (int index = at; index < at + width; index++)
            {
                touched.Add(index);
            }

            ChangeField(image.AsSpan(at, width), subject, random);
        }

        if (random.Next(5) > 0)
        {
            subject.Seal(image);
        }

        return touched;
    }

    /// <summary>Gives a field another value: any, none, all ones, a bit more, a small one, one more or less, in either byte order, or that of another field.</summary>
    private static void ChangeField(Span<byte> field, Subject subject, Random random)
    {
        switch (random.Next(8))
        {
            case 0:
                random.NextBytes(field);
                break;
            case 1:
                field.Clear();
                break;
            case 2:
                field.Fill(255);
                break;
            case 3:
                field[random.Next(field.Length)] ^= (byte)(1 << random.Next(8));
                break;
            case 4:
                field.Clear();
                field[random.Next(2) == 0 ? 0 : ^1] = (byte)random.Next(1, 34);
                break;
            case 5:
                AddTo(ref field[random.Next(2) == 0 ? 0 : ^1], random.Next(1, 4));
                break;
            case 6:
                AddTo(ref field[random.Next(2) == 0 ? 0 : ^1], -random.Next(1, 4));
                break;
            default:
                Extent from = subject.Metadata[random.Next(subject.Metadata.Count)];
                int at = Math.Min((int)from.Offset + (random.Next((int)from.Length) / field.Length * field.Length), subject.Image.Length - field.Length);
                subject.Image.AsSpan(at, field.Length).CopyTo(field);
                break;
        }
    }

    private static void AddTo(ref byte value, int more) => value = unchecked((byte)(value + more));
}
