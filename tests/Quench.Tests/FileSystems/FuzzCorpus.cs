using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using Quench.FileSystems;

namespace Quench.Tests.FileSystems;

/// <summary>
/// The first input of each kind of answer that the analysers gave to changed volumes. A file for each subject, compressed: the volume that all began as, and of each input the bytes that
/// differ from it. QUENCH_RENEW_CORPUS=1 makes them anew while the fuzzing runs.
/// </summary>
internal sealed partial class FuzzCorpus
{
    private const int Sector = 512;
    private readonly AnalyserFuzz.Subject _subject;
    private readonly Dictionary<string, Input> _inputs = [];
    private readonly List<Input> _order = [];

    private FuzzCorpus(AnalyserFuzz.Subject subject) => _subject = subject;

    /// <summary>One changed volume: which bytes differ, in what condition it was said to be, and what was answered.</summary>
    public sealed record Input(VolumeCondition Condition, IReadOnlyList<(int At, byte Value)> Changes, string Answer);

    /// <summary>How many kinds of answers there were.</summary>
    public int Count => _inputs.Count;

    private static bool IsRenewing => Environment.GetEnvironmentVariable("QUENCH_RENEW_CORPUS") == "1";

    /// <summary>The volume that is committed under a name; where there is none, or all are made anew, one that is made now.</summary>
    public static async Task<byte[]> VolumeAsync(string name, Func<Task<byte[]>> makeAsync) =>
        !IsRenewing && File.Exists(PathOf(name)) ? Read(PathOf(name)).Image : await makeAsync();

    /// <summary>The inputs that are committed for a subject; none where they are for another volume.</summary>
    public static FuzzCorpus Begin(AnalyserFuzz.Subject subject)
    {
        FuzzCorpus corpus = new(subject);
        if (!IsRenewing && File.Exists(PathOf(subject.Name)) && Read(PathOf(subject.Name)) is var (image, inputs) && image.AsSpan().SequenceEqual(subject.Image))
        {
            inputs.ToList().ForEach(corpus.Add);
        }

        return corpus;
    }

    /// <summary>Keeps an input whose kind of answer is new.</summary>
    public void Consider(byte[] image, List<int> touched, VolumeCondition condition, VolumeAnalysis ours)
    {
        string answer = AnswerOf(ours);
        if (!_inputs.ContainsKey(answer))
        {
            IEnumerable<int> places = touched.Concat(_subject.Metadata.SelectMany(extent => Enumerable.Range((int)extent.Offset, (int)extent.Length))).Distinct().Order();
            Add(new Input(condition, [.. places.Where(at => image[at] != _subject.Image[at]).Select(at => (at, image[at]))], answer));
        }
    }

    /// <summary>Makes the changes of one of the inputs.</summary>
    public void ApplyAny(byte[] image, List<int> touched, Random random)
    {
        if (_order.Count > 0)
        {
            foreach ((int at, byte value) in _order[random.Next(_order.Count)].Changes)
            {
                touched.Add(at);
                image[at] = value;
            }
        }
    }

    /// <summary>Writes the file, when they are made anew.</summary>
    public void End()
    {
        if (IsRenewing)
        {
            Write();
        }
    }

    /// <summary>All that are committed: their files.</summary>
    public static IEnumerable<string> Files() => Directory.EnumerateFiles(Folder(), "*.corpus").Order(StringComparer.Ordinal);

    /// <summary>What is in a file.</summary>
    public static (byte[] Image, IReadOnlyList<Input> Inputs) Read(string path)
    {
        using BinaryReader reader = new(new GZipStream(File.OpenRead(path), CompressionMode.Decompress), Encoding.UTF8);
        byte[] image = new byte[reader.ReadInt32()];
        for (int sectors = reader.ReadInt32(); sectors > 0; sectors--)
        {
            int at = reader.ReadInt32();
            reader.ReadBytes(Math.Min(Sector, image.Length - at)).CopyTo(image, at);
        }

        List<Input> inputs = [];
        for (int count = reader.ReadInt32(); count > 0; count--)
        {
            VolumeCondition condition = (VolumeCondition)reader.ReadByte();
            (int At, byte Value)[] changes = new (int, byte)[reader.ReadInt32()];
            for (int index = 0; index < changes.Length; index++)
            {
                changes[index] = (reader.ReadInt32(), reader.ReadByte());
            }

            inputs.Add(new Input(condition, changes, reader.ReadString()));
        }

        return (image, inputs);
    }

    /// <summary>The kind of an answer: its sentence without the numbers in it.</summary>
    public static string AnswerOf(VolumeAnalysis ours)
    {
        string? type = ours.FileSystem?.Type;
        return $"{(type?.StartsWith("luks", StringComparison.Ordinal) ?? false ? "luks" : type)} {ours.FileSystem?.State}: {Numbers().Replace(ours.Doubt ?? "mapped", "#")}";
    }

    private void Add(Input input)
    {
        _inputs[input.Answer] = input;
        _order.Add(input);
    }

    private void Write()
    {
        byte[] image = _subject.Image;
        int[] sectors = [.. Enumerable.Range(0, (image.Length + Sector - 1) / Sector).Select(index => index * Sector).Where(at => image.AsSpan(at, Math.Min(Sector, image.Length - at)).ContainsAnyExcept((byte)0))];
        using BinaryWriter writer = new(new GZipStream(File.Create(PathOf(_subject.Name)), CompressionLevel.SmallestSize), Encoding.UTF8);
        writer.Write(image.Length);
        writer.Write(sectors.Length);
        foreach (int at in sectors)
        {
            writer.Write(at);
            writer.Write(image.AsSpan(at, Math.Min(Sector, image.Length - at)));
        }

        writer.Write(_order.Count);
        foreach (Input input in _order)
        {
            writer.Write((byte)input.Condition);
            writer.Write(input.Changes.Count);
            foreach ((int at, byte value) in input.Changes)
            {
                writer.Write(at);
                writer.Write(value);
            }

            writer.Write(input.Answer);
        }
    }

    private static string PathOf(string name) => Path.Combine(Folder(), name + ".corpus");

    private static string Folder([CallerFilePath] string source = "") => Path.Combine(Path.GetDirectoryName(source)!, "Corpus");

    [GeneratedRegex("0x[0-9a-fA-F]+|[0-9]+")]
    private static partial Regex Numbers();
}
