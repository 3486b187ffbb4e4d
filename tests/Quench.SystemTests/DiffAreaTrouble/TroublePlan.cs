namespace Quench.SystemTests.DiffAreaTrouble;

/// <summary>What happens to a diff area.</summary>
internal enum TroubleKind
{
    /// <summary>More is overwritten than it may hold.</summary>
    Cap,

    /// <summary>Its file system is full.</summary>
    NoSpace,

    /// <summary>Its disk fails every write.</summary>
    Failing,

    /// <summary>Its disk takes ten seconds for everything.</summary>
    Slow,

    /// <summary>Its disk does not answer any more.</summary>
    Silent,

    /// <summary>Its disk is unplugged.</summary>
    Unplugged,
}

/// <summary>One round: everything follows from its seed.</summary>
internal sealed record TroublePlan(int Seed, TroubleKind Kind, int MemoryKiB, int WritesBefore, int WritesAfter, int FreeReads, bool Holds)
{
    internal static TroublePlan From(int seed)
    {
        Random random = new(seed);
        TroubleKind kind = (TroubleKind)random.Next(Enum.GetValues<TroubleKind>().Length);
        return new TroublePlan(
            seed,
            kind,
            MemoryKiB: 512 << random.Next(4),                     // half of it to 4 MiB in the ring, the rest in slots
            WritesBefore: random.Next(4) == 0 ? 0 : random.Next(1500),
            WritesAfter: random.Next(200, 4000),
            FreeReads: random.Next(12),
            Holds: random.Next(4) == 0);
    }
}
