namespace Quench.Tests.FileSystems.Ext4;

/// <summary>One generated file system: how it is made and what is then done to it. Everything follows from the random numbers.</summary>
internal sealed record ExtRecipe
{
    public required IReadOnlyList<string> MakeArguments { get; init; }

    public required long Length { get; init; }

    /// <summary>Bytes of the volume after the file system.</summary>
    public required int Tail { get; init; }

    public required bool IsFilled { get; init; }

    /// <summary>Of the files it is filled with, which are deleted again.</summary>
    public required IReadOnlyList<int> Deleted { get; init; }

    /// <summary>It is also mounted and worked in, where this kernel mounts it.</summary>
    public required bool IsWorkedIn { get; init; }

    public required int WorkSeed { get; init; }

    /// <summary>Bytes that resize2fs makes it; 0 for as it is.</summary>
    public required long ResizedTo { get; init; }

    public bool IsBigalloc => MakeArguments.Any(argument => argument.Contains("bigalloc", StringComparison.Ordinal));

    public static ExtRecipe From(Random random)
    {
        int blockSize = random.GetItems([1024, 1024, 2048, 4096, 4096, 4096, 65536], 1)[0];
        List<string> arguments = ["-q", "-F", "-b", $"{blockSize}", "-t", random.GetItems(["ext2", "ext3", "ext4", "ext4", "ext4"], 1)[0]];
        List<string> features = [];
        List<string> extended = [];
        ChooseLayout(random, blockSize, arguments, features, extended);
        ChooseChecksums(random, features);
        ChooseOthers(random, features, extended);
        AddJoined(arguments, "-O", features);
        AddJoined(arguments, "-E", extended);
        long length = ChooseLength(random, blockSize);
        return new ExtRecipe
        {
            MakeArguments = arguments,
            Length = length,
            Tail = random.Next(3) == 0 ? random.Next(1, 40) * 512 : 0,
            IsFilled = random.Next(3) > 0,
            Deleted = [.. Enumerable.Range(0, ExtMaker.Files).Where(_ => random.Next(3) == 0)],
            IsWorkedIn = random.Next(2) == 0 && !features.Contains("mmp"), // a mount would wait for other machines to show themselves
            WorkSeed = random.Next(),
            ResizedTo = random.Next(5) switch { 0 => length * random.Next(11, 40) / 10, 1 => length * random.Next(4, 10) / 10, _ => 0 } / 65536 * 65536,
        };
    }

    public override string ToString() =>
        $"mke2fs {string.Join(' ', MakeArguments)} ({Length} + {Tail} bytes{(IsFilled ? $", filled, {Deleted.Count} files deleted again" : "")}{(IsWorkedIn ? $", worked in {WorkSeed}" : "")}, resized to {ResizedTo})";

    private static long ChooseLength(Random random, int blockSize)
    {
        long least = blockSize == 65536 ? 64L << 20 : 4L << 20;
        long most = random.Next(8) == 0 ? 40L << 30 : blockSize == 65536 ? 1L << 30 : 300L << 20;
        return (long)(least * Math.Pow((double)most / least, random.NextDouble())) / 512 * 512;
    }

    private static void ChooseLayout(Random random, int blockSize, List<string> arguments, List<string> features, List<string> extended)
    {
        Toggle(random, features, "64bit", "flex_bg", "extent", "sparse_super", "large_file", "huge_file", "filetype", "dir_index");
        switch (random.Next(5))
        {
            case 0:
                features.AddRange(["meta_bg", "^resize_inode"]);
                break;
            case 1:
                features.AddRange(["sparse_super2", "^resize_inode"]);
                extended.Add($"num_backup_sb={random.Next(3)}");
                break;
            case 2:
                features.Add("^resize_inode");
                break;
            default:
                break;
        }

        if (random.Next(5) == 0)
        {
            features.AddRange(["extent", "bigalloc", "^resize_inode"]);
            arguments.AddRange(["-C", $"{blockSize << random.Next(1, 6)}"]);
        }
        else if (random.Next(3) == 0)
        {
            arguments.AddRange(["-g", $"{random.Next(32, Math.Min(blockSize, 8184) + 1) * 8}"]);
        }

        AddSometimes(random, arguments, 4, "-G", $"{1 << random.Next(1, 8)}");
        AddSometimes(random, arguments, 4, "-I", random.GetItems(["128", "256", "512"], 1)[0]);
        AddSometimes(random, arguments, 5, "-i", $"{Math.Max(blockSize, 2048 << random.Next(6))}");
    }

    private static void ChooseChecksums(Random random, List<string> features)
    {
        switch (random.Next(5))
        {
            case 0:
                features.AddRange(["^metadata_csum", "uninit_bg"]);
                break;
            case 1:
                features.AddRange(["^metadata_csum", "^uninit_bg"]);
                break;
            case 2:
                features.AddRange(["metadata_csum", "metadata_csum_seed"]);
                break;
            case 3:
                features.Add("metadata_csum");
                break;
            default:
                break;
        }
    }

    private static void ChooseOthers(Random random, List<string> features, List<string> extended)
    {
        string[] others =
        [
            "mmp", "quota", "project,quota", "encrypt", "verity", "large_dir", "ea_inode", "inline_data", "stable_inodes", "fast_commit",
            "orphan_file", "^has_journal", "has_journal", "extra_isize", "dir_nlink", "casefold",
        ];
        features.AddRange(random.GetItems(others, random.Next(4)).Distinct());
        if (random.Next(6) == 0)
        {
            extended.Add("packed_meta_blocks=1");
        }

        if (random.Next(4) == 0)
        {
            extended.Add("lazy_itable_init=0");
        }
    }

    private static void Toggle(Random random, List<string> features, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (random.Next(6) == 0)
            {
                features.Add("^" + name);
            }
        }
    }

    private static void AddSometimes(Random random, List<string> arguments, int oneIn, params ReadOnlySpan<string> added)
    {
        if (random.Next(oneIn) == 0)
        {
            arguments.AddRange(added);
        }
    }

    private static void AddJoined(List<string> arguments, string option, List<string> values)
    {
        if (values.Count > 0)
        {
            arguments.AddRange([option, string.Join(',', values)]);
        }
    }
}
