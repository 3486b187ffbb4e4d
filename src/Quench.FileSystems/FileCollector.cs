using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>
/// Puts findings together, block by block and name by name. What can't be in a file system in order, such as two files with a block in common, is a contradiction, and then nothing of the
/// search is believed. Memory: a bit a block, at most 32 bytes for each number that was met (a few for each hundred where they lie together), the first names, the first doubts, and what files of several names take that were not
/// met under all of them.
/// </summary>
/// <param name="volumeLength">Bytes.</param>
/// <param name="blockSize">Bytes of a block; a power of two.</param>
internal sealed class FileCollector(long volumeLength, int blockSize)
{
    /// <summary>The most files that wait for their other names, and folders that wait to be entered.</summary>
    public const int MostWaiting = 4 << 20;

    private readonly UsedBlocks _data = new(volumeLength, blockSize);
    private readonly List<FoundFile> _files = [];
    private readonly Dictionary<int, FileSum> _sums = [];
    private readonly List<string> _doubts = [];
    private readonly Dictionary<long, ulong> _met = [];              // folders that were entered, and files of one name: a bit each, 64 neighbours together
    private readonly Dictionary<long, LinkedFile> _linked = [];      // files of several names, some of which were met
    private long _doubtCount;

    /// <summary>Whether something was met that can't be in a file system in order.</summary>
    public bool IsContradiction { get; private set; }

    /// <summary>Notes a contradiction unless a condition holds.</summary>
    /// <exception cref="InDoubtException">It does not.</exception>
    public void Contradict(bool condition, string sentence)
    {
        IsContradiction |= !condition;
        InDoubtException.Unless(condition, sentence);
    }

    /// <summary>Notes that a folder, or a file that says it has one name only, was met.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="path">Where.</param>
    /// <exception cref="InDoubtException">It was met before.</exception>
    public void DemandFirst(long number, string path)
    {
        ulong bit = 1UL << (int)(number & 63);
        ulong neighbours = _met.GetValueOrDefault(number >> 6);
        Contradict((neighbours & bit) == 0, $"{path} was met twice, and can have one name only: check the file system");
        _met[number >> 6] = neighbours | bit;
    }

    /// <summary>Notes one of the names of a file of several. Where less is wanted under one of them, less is wanted.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="links">How many names it says it has.</param>
    /// <param name="path">This one; becomes the first.</param>
    /// <param name="wanted">What is wanted under this name; becomes what is wanted under all.</param>
    /// <returns>Whether it was the last one.</returns>
    /// <exception cref="InDoubtException">It has more names than it says, or too many files wait.</exception>
    public bool HasMetAllNames(long number, int links, ref string path, ref WantedFile wanted)
    {
        bool isKnown = _linked.TryGetValue(number, out LinkedFile before);
        InDoubtException.Unless(isKnown || _linked.Count < MostWaiting, "too many files have several names");
        LinkedFile now = isKnown ? before with { Seen = before.Seen + 1, Wanted = before.Wanted.With(wanted) } : new LinkedFile(path, wanted, links, 1);
        _linked[number] = now;
        (path, wanted) = (now.Path, now.Wanted);
        Contradict(now.Seen <= links, $"{path} has more names than it counts: check the file system");
        return now.Seen == links;
    }

    /// <summary>Takes a file's blocks up.</summary>
    /// <param name="wanted">By which rule.</param>
    /// <param name="path">Its path.</param>
    /// <param name="length">Bytes of the file.</param>
    /// <param name="runs">Blocks, counted from the volume's start; none may lie in a file that was added before, nor twice in this one.</param>
    /// <exception cref="InDoubtException">One does.</exception>
    public void Add(WantedFile wanted, string path, long length, IEnumerable<(long First, long Count)> runs)
    {
        long blocks = 0;
        foreach ((long first, long count) in runs)
        {
            Contradict(_data.Bits.CountSet(first, count) == 0, $"two files have a block in common, {path} and another: check the file system");
            _data.Bits.SetRange(first, count);
            blocks += count;
        }

        if (blocks == 0)
        {
            return;
        }

        long bytes = blocks * blockSize;
        _sums.TryGetValue(wanted.Rule, out FileSum sum);
        _sums[wanted.Rule] = new FileSum(sum.Files + 1, sum.Bytes + bytes);
        if (_files.Count < FileFindings.MostNamed)
        {
            _files.Add(new FoundFile(wanted.Rule, path, Partition: null, length, bytes));
        }
    }

    /// <summary>Notes that something was wanted and is not in the answer.</summary>
    public void Doubt(string sentence)
    {
        _doubtCount++;
        if (_doubts.Count < FileFindings.MostDoubts)
        {
            _doubts.Add(sentence);
        }
    }

    /// <summary>The answer. Nothing may be added afterwards.</summary>
    public FileFindings Finish()
    {
        foreach (LinkedFile file in _linked.Values.Where(file => file.Seen < file.Links))
        {
            Doubt($"{file.Path} is kept: {file.Links - file.Seen} of its {file.Links} names are not to be left out");
        }

        return new FileFindings(_data, _files, _sums, _doubts, _doubtCount);
    }

    /// <summary>The answer of a search that was given up.</summary>
    public static FileFindings GiveUp(long volumeLength, string why) =>
        new(new UsedBlocks(volumeLength, 4096), [], new Dictionary<int, FileSum>(), [], 0) { GivenUp = why };

    private readonly record struct LinkedFile(string Path, WantedFile Wanted, int Links, int Seen);
}
