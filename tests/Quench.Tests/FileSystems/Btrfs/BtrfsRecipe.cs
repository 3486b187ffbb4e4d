namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>One generated file system: how it is made and what is then done to it. Everything follows from the random numbers.</summary>
internal sealed record BtrfsRecipe
{
    public required IReadOnlyList<string> MakeArguments { get; init; }

    public required long Length { get; init; }

    /// <summary>Bytes of the volume after the file system.</summary>
    public required int Tail { get; init; }

    public required string MountOptions { get; init; }

    /// <summary>Bytes by which it is made larger while it is mounted, or, negative, smaller.</summary>
    public required long ResizedBy { get; init; }

    /// <summary>What the balance is told while it is mounted; empty for none.</summary>
    public required IReadOnlyList<string> Balance { get; init; }

    /// <summary>Its block groups are moved into a tree of their own, which this mkfs.btrfs does not do.</summary>
    public required bool HasBlockGroupTree { get; init; }

    public required int WorkSeed { get; init; }

    public static BtrfsRecipe From(Random random)
    {
        bool mixed = random.Next(6) == 0;
        bool large = !mixed && random.Next(12) == 0;
        bool groupTree = !mixed && random.Next(4) == 0;
        List<string> arguments = ["-q", "-f", "-K"];
        if (mixed)
        {
            string profile = One(random, "single", "dup");
            arguments.AddRange(["-M", "-m", profile, "-d", profile]);
        }
        else
        {
            arguments.AddRange(["-m", One(random, "single", "dup", "dup"), "-d", One(random, "single", "single", "dup", "raid0"), "-n", One(random, "4096", "16384", "16384", "32768", "65536")]);
        }

        AddSometimes(random, arguments, groupTree ? int.MaxValue : 3, "--csum", "sha256");
        AddSometimes(random, arguments, groupTree ? int.MaxValue : 3, "-O", One(random, "^skinny-metadata", "^no-holes", "^extref", "raid56", "raid1c34"));
        AddSometimes(random, arguments, groupTree ? int.MaxValue : 3, "-R", One(random, "^free-space-tree", "quota"));
        AddSometimes(random, arguments, 3, "-L", "Grüße");
        long length = large ? (257L + random.Next(40)) << 30 : (long)((120L << 20) * Math.Pow(3, random.NextDouble())) / 4096 * 4096;
        return new BtrfsRecipe
        {
            MakeArguments = arguments,
            Length = length,
            Tail = random.Next(3) == 0 ? random.Next(1, 40) * 512 : 0,
            MountOptions = One(random, "noatime", "compress-force=zstd", "compress=lzo", "nodatacow", "autodefrag", "max_inline=0"),
            ResizedBy = random.Next(4) switch { 0 => length / 4096 / random.Next(2, 5) * 4096, 1 => -(length / 4096 / random.Next(8, 20) * 4096), _ => 0 },
            Balance = random.Next(6) switch { 0 => ["-dusage=60"], 1 => ["-f", "-mconvert=single"], 2 => ["-dconvert=dup"], 3 => ["-musage=90"], _ => [] },
            HasBlockGroupTree = groupTree,
            WorkSeed = random.Next(),
        };
    }

    public override string ToString() =>
        $"mkfs.btrfs {string.Join(' ', MakeArguments)} ({Length} + {Tail} bytes, mounted {MountOptions}, resized by {ResizedBy}, balance {string.Join(' ', Balance)}, block group tree {HasBlockGroupTree}, work {WorkSeed})";

    private static string One(Random random, params ReadOnlySpan<string> words) => words[random.Next(words.Length)];

    private static void AddSometimes(Random random, List<string> arguments, int oneIn, params ReadOnlySpan<string> added)
    {
        if (random.Next(oneIn) == 0)
        {
            arguments.AddRange(added);
        }
    }
}
