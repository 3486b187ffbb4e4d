using System.Numerics;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Vault;

namespace Quench.Imaging.Capture.Exclusions;

/// <summary>What is on a volume once data of files count as not in use, and what the point says of that. Constant.</summary>
/// <param name="Analysis">The map without the data that are left out.</param>
/// <param name="Record">For the point; null when there is nothing to say.</param>
/// <param name="Searched">What was found, for the warnings.</param>
internal sealed record LeftOut(VolumeAnalysis Analysis, ExclusionRecord? Record, IReadOnlyList<SearchedFileSystem> Searched)
{
    /// <summary>
    /// How many blocks of folders may be read of a volume that goes on changing: its folders are walked once more while its writers are held, and that must not take long.
    /// </summary>
    public const long MostBlocksWhileHeld = 4096;

    private const long MostBits = 1L << 31;

    /// <summary>Takes the data of files out of a map of used blocks.</summary>
    /// <param name="volume">Only read. Must not change meanwhile.</param>
    /// <param name="analysis">What is on it; stays as it is.</param>
    /// <param name="rules">Which files.</param>
    /// <param name="mostBlocks">How many blocks may be read on the way to them.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    public static async ValueTask<LeftOut> FindAsync(
        IBlockReader volume, VolumeAnalysis analysis, ExclusionRules rules, long mostBlocks, CancellationToken cancellationToken)
    {
        if (rules.Rules.Count == 0)
        {
            return new LeftOut(analysis, null, []);
        }

        IReadOnlyList<SearchedFileSystem> searched = await FileSearch.RunAsync(volume, analysis, rules, mostBlocks, cancellationToken);
        int blockSize = BlockSizeFor(analysis.Used, searched);
        if (analysis.Used.VolumeLength / blockSize > MostBits && blockSize < analysis.Used.BlockSize)
        {
            const string Why = "its blocks are finer than the map of so large a volume can tell apart";
            searched = [.. searched.Select(one => one with { Found = one.Found with { Data = new UsedBlocks(one.Place.Length, blockSize: 4096), Files = [], Sums = new Dictionary<int, FileSum>(), GivenUp = Why } })];
        }

        VolumeAnalysis rest = searched.Any(one => one.Found.Sums.Count > 0) ? Without(analysis, searched, blockSize) : analysis;
        return new LeftOut(rest, Describe(rules, searched), searched);
    }

    /// <summary>What must be known of the exclusions of one backup.</summary>
    /// <param name="rules">The same for all its volumes.</param>
    /// <param name="volumes">Each with its name.</param>
    public static IEnumerable<CaptureWarning> Warnings(ExclusionRules rules, IReadOnlyList<(string Name, LeftOut LeftOut)> volumes)
    {
        foreach ((string name, LeftOut left) in volumes.Where(_ => rules.Rules.Any(rule => rule.IsByUser)))
        {
            foreach (SearchedFileSystem one in left.Searched)
            {
                string where = one.Partition is { } number ? $"partition {number} of {name}" : name;
                if (one.Found.GivenUp is { } why)
                {
                    // A disk has other partitions too, and it is no news that nothing was found on those that hold nothing of the kind.
                    if (one.Partition is null || FileSearch.Reads(one.Type) || !left.Searched.Any(other => FileSearch.Reads(other.Type)))
                    {
                        yield return CaptureWarning.NothingLeftOut(where, why);
                    }
                }
                else if (one.Found.DoubtCount > 0)
                {
                    yield return CaptureWarning.KeptInDoubt(where, one.Found.DoubtCount, one.Found.Doubts[0]);
                }
            }
        }

        for (int rule = 0; rule < rules.Rules.Count; rule++)
        {
            if (rules.Rules[rule].IsByUser && MetNothing(rule, volumes))
            {
                yield return CaptureWarning.RuleMetNothing(rules.Rules[rule].Glob.Text);
            }
        }
    }

    /// <summary>Whether a rule was tried wherever it could be, and there was nothing to leave out.</summary>
    private static bool MetNothing(int rule, IReadOnlyList<(string Name, LeftOut LeftOut)> volumes)
    {
        SearchedFileSystem[] searched = [.. volumes.SelectMany(volume => volume.LeftOut.Searched).Where(one => FileSearch.Reads(one.Type))];
        return searched.Length > 0 && searched.All(one => one.Found.GivenUp is null && !one.Found.Sums.ContainsKey(rule));
    }

    /// <summary>The largest blocks in which both what is used and what is left out can be told exactly.</summary>
    private static int BlockSizeFor(UsedBlocks used, IReadOnlyList<SearchedFileSystem> searched)
    {
        int blockSize = used.BlockSize;
        foreach (SearchedFileSystem one in searched.Where(one => one.Found.Sums.Count > 0))
        {
            int offset = one.Place.Offset == 0 ? int.MaxValue : 1 << Math.Min(30, BitOperations.TrailingZeroCount(one.Place.Offset));
            blockSize = Math.Min(blockSize, Math.Min(one.Found.Data.BlockSize, offset));
        }

        return blockSize;
    }

    private static VolumeAnalysis Without(VolumeAnalysis analysis, IReadOnlyList<SearchedFileSystem> searched, int blockSize)
    {
        UsedBlocks rest = new(analysis.Used.VolumeLength, blockSize);
        foreach (Extent run in analysis.Used.Runs())
        {
            rest.Add(run);
        }

        foreach (SearchedFileSystem one in searched)
        {
            foreach (Extent run in one.Found.Data.Runs())
            {
                rest.Bits.ClearRange((one.Place.Offset + run.Offset) / blockSize, run.Length / blockSize);
            }
        }

        return analysis with { Used = rest, Disk = analysis.Disk is { } disk ? Without(disk, searched) : null };
    }

    private static PartitionedDisk Without(PartitionedDisk disk, IReadOnlyList<SearchedFileSystem> searched) => disk with
    {
        Partitions = [.. disk.Partitions.Select(content => content with
        {
            UsedBytes = content.UsedBytes - searched.Where(one => one.Partition == content.Partition.Number).Sum(one => one.Found.Sums.Values.Sum(sum => sum.Bytes)),
        })],
    };

    private static ExclusionRecord? Describe(ExclusionRules rules, IReadOnlyList<SearchedFileSystem> searched)
    {
        FoundFile[] named = [.. searched.SelectMany(one => one.Found.Files).Take(FileFindings.MostNamed)];
        List<ExclusionRuleRecord> records = [];
        for (int rule = 0; rule < rules.Rules.Count; rule++)
        {
            FileSum[] sums = [.. searched.Where(one => one.Found.Sums.ContainsKey(rule)).Select(one => one.Found.Sums[rule])];
            if (rules.Rules[rule].IsByUser || sums.Length > 0)
            {
                records.Add(new ExclusionRuleRecord
                {
                    Pattern = rules.Rules[rule].Glob.Text,
                    Origin = rules.Rules[rule].Origin,
                    KeptHead = rules.Rules[rule].KeptHead,
                    Files = sums.Sum(sum => sum.Files),
                    Bytes = sums.Sum(sum => sum.Bytes),
                    Names = [.. named.Where(file => file.Rule == rule).Select(file => new ExcludedFileRecord(file.Path, file.Partition, file.Length, file.Bytes))],
                });
            }
        }

        string[] kept = [.. searched.Where(one => one.Partition is null || FileSearch.Reads(one.Type)).SelectMany(Kept)];
        return records.Count == 0 && kept.Length == 0 ? null : new ExclusionRecord { Files = records.Sum(one => one.Files), Bytes = records.Sum(one => one.Bytes), Rules = records, Kept = kept };
    }

    private static IEnumerable<string> Kept(SearchedFileSystem one)
    {
        string where = one.Partition is { } number ? $"partition {number}: " : "";
        IEnumerable<string> sentences = one.Found.GivenUp is { } why ? [$"nothing was left out: {why}"] : one.Found.Doubts;
        return sentences.Select(sentence => where + sentence);
    }
}
