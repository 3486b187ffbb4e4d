using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.Ntfs;

/// <summary>Where files of NTFS lie by our own reader beside what ntfsinfo says, and what is kept.</summary>
public sealed partial class NtfsFileTests(ITestOutputHelper output) : IDisposable
{
    private readonly TempFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", 1, 3000, 20)]
    [InlineData("-c 512", 2, 1500, 20)]
    [InlineData("-c 65536", 3, 60_000, 5)]
    public async Task Files_lie_where_ntfsinfo_says(string options, int seed, int pieceLength, int leastPieces)
    {
        string image = await MakeAsync(options, folder => WriteMany(folder, new Random(seed)), folder => FillInPieces(folder, pieceLength), megabytes: pieceLength > 4096 ? 64 : 16);
        FileFindings ours = await FindAsync(image, _ => true);
        Assert.Null(ours.GivenUp);
        Assert.Empty(ours.Doubts);
        Assert.InRange(ours.Files.Count, 50, FileFindings.MostNamed);
        int size = ours.Data.BlockSize;
        int pieces = 0;
        foreach (FoundFile file in ours.Files.Where((_, index) => index % 20 == 0).Append(ours.Files.MaxBy(file => file.Bytes)!).Append(Assert.Single((await FindAsync(image, path => path == "/pieces")).Files)))
        {
            List<(long First, long Count)> runs = await AskAsync(image, file.Path);
            UsedBlocks alone = (await FindAsync(image, path => path == file.Path)).Data;
            UsedBlocks said = new(ours.Data.VolumeLength, size);
            runs.ForEach(run => said.Bits.SetRange(run.First, run.Count));
            Assert.True(MapComparison.Compare(alone, said) is null, $"{file.Path}: {MapComparison.Compare(alone, said)}");
            Assert.Equal(file.Bytes, runs.Sum(run => run.Count) * size);
            pieces = Math.Max(pieces, runs.Count);
        }

        output.WriteLine($"{ours.Files.Count} files; the one in most pieces has {pieces}");
        Assert.InRange(pieces, leastPieces, int.MaxValue);
    }

    [Fact]
    public async Task A_file_in_so_many_pieces_that_one_record_cannot_hold_them_is_found_whole()
    {
        string image = await MakeAsync("-c 512", _ => { }, folder => FillInPieces(folder, 1500), megabytes: 16);
        FileFindings found = await FindAsync(image, path => path == "/pieces");
        Assert.True(found.Files.Count == 1, $"{found.GivenUp}{string.Join("; ", found.Doubts)}");
        FoundFile file = found.Files[0];
        List<(long First, long Count)> runs = await AskAsync(image, file.Path);
        output.WriteLine($"{runs.Count} pieces");
        Assert.InRange(runs.Count, 300, int.MaxValue); // a record of 1 KiB has room for some 200
        Assert.Equal(runs.Sum(run => run.Count) * 512, file.Bytes);
    }

    [Fact]
    public async Task A_file_of_several_names_counts_when_all_of_them_are_wanted_and_case_differs_for_posix_names()
    {
        string image = await MakeAsync("", folder =>
        {
            byte[] bytes = [.. Enumerable.Repeat((byte)3, 50_000)];
            File.WriteAllBytes(Path.Combine(folder, "a"), bytes);
            File.WriteAllBytes(Path.Combine(folder, "A2"), bytes);
            Directory.CreateDirectory(Path.Combine(folder, "below"));
            Assert.True(Quench.Interop.Linux.NativeFile.TryLink(Path.Combine(folder, "a"), Path.Combine(folder, "below", "b")));
        });
        Assert.Equal(["/A2", "/a"], (await FindAsync(image, _ => true)).Files.Select(file => file.Path).Order(StringComparer.Ordinal));
        FileFindings some = await FindAsync(image, path => path != "/below/b");
        Assert.Equal(["/A2"], some.Files.Select(file => file.Path));
        Assert.Contains("1 of its 2 names", Assert.Single(some.Doubts), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_file_systems_own_files_are_never_found()
    {
        string image = await MakeAsync("", folder => File.WriteAllBytes(Path.Combine(folder, "$mine"), new byte[9000]));
        FileFindings found = await FindAsync(image, _ => true);
        Assert.Equal(["/$mine"], found.Files.Select(file => file.Path));
    }

    [Theory]
    [InlineData("hibr", false)]
    [InlineData("HIBR", false)]
    [InlineData("wake", true)]
    public async Task A_file_that_begins_with_what_must_not_be_lost_is_kept(string start, bool isFound)
    {
        string image = await MakeAsync("", folder => File.WriteAllText(Path.Combine(folder, "hiberfil.sys"), start + new string('x', 9000)));
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        FileFindings found = Assert.Single(await FileSearch.RunAsync(volume, analysis, new Quench.Tests.Imaging.Exclusions.WindowsRules(), long.MaxValue, Token)).Found;
        Assert.Equal(isFound ? 1 : 0, found.Files.Count);
        Assert.Equal(isFound ? 0 : 1, found.DoubtCount);
    }

    [Fact]
    public async Task No_bytes_make_a_search_fail_hang_or_take_much_memory()
    {
        string image = await MakeAsync("-c 512", folder => WriteMany(folder, new Random(4)), megabytes: 6);
        await FileSearchFuzz.RunAsync(await File.ReadAllBytesAsync(image, Token), "ntfs", 1, output);
    }

    private static async Task<FileFindings> FindAsync(string image, Func<string, bool> isWanted)
    {
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        Assert.Null(analysis.Doubt);
        return Assert.Single(await FileSearch.RunAsync(volume, analysis, new EveryFile(isWanted), long.MaxValue, Token)).Found;
    }

    private async Task<string> MakeAsync(string options, Action<string> write, Action<string>? thenFill = null, int megabytes = 64)
    {
        Tool.Require("mkntfs", "ntfs-3g", "ntfsinfo", "losetup");
        Tool.RequireRoot();
        string image = _folder["made.img"];
        await Tool.RunAsync("truncate", "-s", $"{megabytes}M", image);
        await Tool.RunAsync("mkntfs", ["-q", "-F", "-Q", .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries), image]);
        await using (LoopMount mount = await LoopMount.MountAsync(image, _folder["mnt"], "ntfs-3g"))
        {
            write(mount.Folder);
            thenFill?.Invoke(mount.Folder);
        }

        return image;
    }

    /// <summary>The runs of the unnamed data, holes left out.</summary>
    private static async Task<List<(long First, long Count)>> AskAsync(string image, string path)
    {
        string text = await Tool.RunAsync("ntfsinfo", "-v", "-F", path, image);
        List<(long, long)> runs = [];
        bool isData = false;
        foreach (string line in text.Split('\n'))
        {
            isData = line.StartsWith("Dumping attribute", StringComparison.Ordinal) ? line.Contains("$DATA (0x80)", StringComparison.Ordinal) : isData;
            if (isData && RunLine().Match(line) is { Success: true } run)
            {
                runs.Add((long.Parse(run.Groups[1].ValueSpan, NumberStyles.HexNumber, CultureInfo.InvariantCulture), long.Parse(run.Groups[2].ValueSpan, NumberStyles.HexNumber, CultureInfo.InvariantCulture)));
            }
        }

        return runs;
    }

    private static void WriteMany(string folder, Random random)
    {
        byte[] bytes = new byte[200_000];
        random.NextBytes(bytes);
        string many = Directory.CreateDirectory(Path.Combine(folder, "many", "deeper")).FullName;
        for (int index = 0; index < 300; index++)
        {
            File.WriteAllBytes(Path.Combine(many, $"a-rather-long-name-so-that-the-folder-grows-{index}"), bytes.AsSpan(0, random.Next(0, 6000)));
        }

        for (int index = 0; index < 300; index += 3)
        {
            File.Delete(Path.Combine(many, $"a-rather-long-name-so-that-the-folder-grows-{index}"));
        }

        using FileStream sparse = File.Create(Path.Combine(folder, "sparse"));
        sparse.Write(bytes.AsSpan(0, 70_000));
        sparse.Seek(3_000_000, SeekOrigin.Begin);
        sparse.Write(bytes.AsSpan(0, 70_000));
        File.WriteAllText(Path.Combine(folder, "tiny"), "in its record");
    }

    /// <summary>Fills the volume with small files, deletes every second one, and writes one large file into the gaps.</summary>
    private static void FillInPieces(string folder, int pieceLength)
    {
        byte[] bytes = [.. Enumerable.Repeat((byte)7, pieceLength)];
        string filling = Directory.CreateDirectory(Path.Combine(folder, "filling")).FullName;
        List<string> files = [];
        try
        {
            while (files.Count < 20_000)
            {
                files.Add(Path.Combine(filling, $"{files.Count}"));
                File.WriteAllBytes(files[^1], bytes);
            }
        }
        catch (IOException)
        {
            // full, as it should be
        }

        for (int index = 0; index < files.Count; index += 2)
        {
            File.Delete(files[index]);
        }

        using FileStream pieces = new(Path.Combine(folder, "pieces"), FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        for (int piece = 0; piece < files.Count / 3; piece++)
        {
            pieces.Write(bytes);
        }
    }

    [GeneratedRegex(@"^\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)", RegexOptions.IgnoreCase)]
    private static partial Regex RunLine();
}
