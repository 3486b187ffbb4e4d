namespace Quench.Tests.FileSystems.Xfs;

/// <summary>One generated file system: how it is made and what is then done to it. Everything follows from the random numbers.</summary>
internal sealed record XfsRecipe
{
    public required IReadOnlyList<string> MakeArguments { get; init; }

    public required long Length { get; init; }

    /// <summary>Bytes of the volume after the file system.</summary>
    public required int Tail { get; init; }

    /// <summary>Filled by mkfs.xfs itself; otherwise mounted and worked in, which this kernel does with version 5 only.</summary>
    public required bool IsVersion4 { get; init; }

    /// <summary>Bytes that it is grown by while it is mounted.</summary>
    public required long GrownBy { get; init; }

    /// <summary>Some blocks are taken from its end while it is mounted.</summary>
    public required bool IsShrunk { get; init; }

    public required int WorkSeed { get; init; }

    public static XfsRecipe From(Random random)
    {
        bool old = random.Next(4) == 0;
        List<string> arguments = ["--unsupported", "-q", "-f", "-b", $"size={random.GetItems(old ? [512, 1024, 4096] : new[] { 1024, 2048, 4096, 4096, 4096, 8192, 65536 }, 1)[0]}"];
        arguments.AddRange(old ? ["-m", "crc=0"] : ["-m", Features(random)]);
        AddSometimes(random, arguments, 2, "-d", $"agcount={random.Next(1, 9)}");
        if (!old)
        {
            AddSometimes(random, arguments, 3, "-i", random.GetItems(["sparse=0", "sparse=1", "nrext64=1", "size=1024", "maxpct=50"], 1)[0]);
        }

        AddSometimes(random, arguments, 4, "-l", random.GetItems(["lazy-count=1,size=20m", "su=32k", "su=256k", "sectsize=4096"], 1)[0]);
        AddSometimes(random, arguments, 4, "-s", "size=4096");
        AddSometimes(random, arguments, 3, "-L", "Grüße");
        long length = (long)((96L << 20) * Math.Pow(random.Next(8) == 0 ? 400 : 6, random.NextDouble())) / 65536 * 65536;
        return new XfsRecipe
        {
            MakeArguments = arguments,
            Length = length,
            Tail = random.Next(3) == 0 ? random.Next(1, 40) * 512 : 0,
            IsVersion4 = old,
            GrownBy = !old && random.Next(4) == 0 ? length / 65536 / random.Next(2, 5) * 65536 : 0,
            WorkSeed = random.Next(),
            IsShrunk = random.Next(4) == 0,
        };
    }

    public override string ToString() => $"mkfs.xfs {string.Join(' ', MakeArguments)} ({Length} + {Tail} bytes, grown by {GrownBy}, shrunk {IsShrunk}, work {WorkSeed})";

    private static string Features(Random random)
    {
        List<string> features = [];
        bool reflink = random.Next(2) == 0;
        bool finobt = random.Next(4) > 0;
        features.Add($"reflink={(reflink ? 1 : 0)}");
        features.Add($"finobt={(finobt ? 1 : 0)}");
        features.Add($"rmapbt={random.Next(2)}");
        features.Add($"inobtcount={(finobt ? random.Next(2) : 0)}");
        features.Add($"bigtime={random.Next(2)}");
        return string.Join(',', features);
    }

    private static void AddSometimes(Random random, List<string> arguments, int oneIn, params ReadOnlySpan<string> added)
    {
        if (random.Next(oneIn) == 0)
        {
            arguments.AddRange(added);
        }
    }
}
