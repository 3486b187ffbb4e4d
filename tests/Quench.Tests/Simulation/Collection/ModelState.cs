using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Quench.Tests.Simulation.Collection;

/// <summary>
/// One state of the model, in 40 bytes: everything is a small number or a set of at most eight packs, a bit each. Equal states are equal bytes, so what
/// no longer matters is set back to zero.
/// </summary>
internal struct ModelState : IEquatable<ModelState>
{
    internal const int MaxSessions = 2;
    internal const int MaxCollectors = 2;
    internal const int MaxGenerations = 2;

    private const int SessionsAt = 6;
    private const int SessionSize = 4;
    private const int GenerationsAt = SessionsAt + (MaxSessions * SessionSize);
    private const int GenerationSize = 3;
    private const int CollectorsAt = GenerationsAt + (MaxGenerations * GenerationSize);
    private const int CollectorSize = 7;

    private Words _words;

    [UnscopedRef]
    private Span<byte> Cells => MemoryMarshal.AsBytes((Span<ulong>)_words);

    /// <summary>Packs in the store. All of them hold the one chunk that the model is about.</summary>
    [UnscopedRef]
    internal ref byte Packs => ref Cells[0];

    /// <summary>Packs that have an index object of their own.</summary>
    [UnscopedRef]
    internal ref byte Indexed => ref Cells[1];

    /// <summary>1: the index object that names packs 0 and 1 together is there.</summary>
    [UnscopedRef]
    internal ref byte Shared => ref Cells[2];

    /// <summary>The number of the next pack.</summary>
    [UnscopedRef]
    internal ref byte NextPack => ref Cells[3];

    /// <summary>Points that are committed and not forgotten: bit 0 one from before, bit 1 + i that of session i.</summary>
    [UnscopedRef]
    internal ref byte Points => ref Cells[4];

    /// <summary>Packs that some index object names.</summary>
    internal byte Named => (byte)(Indexed | (Shared != 0 ? 0b11 : 0));

    /// <summary>Packs whose chunk a reader finds.</summary>
    internal byte Readable => (byte)(Packs & Named);

    [UnscopedRef]
    internal SessionCells Session(int number) => new(Cells.Slice(SessionsAt + (number * SessionSize), SessionSize));

    [UnscopedRef]
    internal GenerationCells Generation(int number) => new(Cells.Slice(GenerationsAt + (number * GenerationSize), GenerationSize));

    [UnscopedRef]
    internal CollectorCells Collector(int number) => new(Cells.Slice(CollectorsAt + (number * CollectorSize), CollectorSize));

    public readonly bool Equals(ModelState other) => ((ReadOnlySpan<ulong>)_words).SequenceEqual(other._words);

    public override readonly bool Equals(object? obj) => obj is ModelState other && Equals(other);

    public override readonly int GetHashCode()
    {
        ulong hash = 0;
        foreach (ulong word in (ReadOnlySpan<ulong>)_words)
        {
            hash = unchecked((hash ^ word) * 0x9E3779B97F4A7C15);
            hash ^= hash >> 29;
        }

        return unchecked((int)(hash >> 16));
    }

    /// <summary>Collectors are alike: their order means nothing, so states that differ in it only are made one.</summary>
    internal void Normalize(int collectors)
    {
        if (collectors == 2 && Collector(0).Cells.SequenceCompareTo(Collector(1).Cells) > 0)
        {
            Span<byte> first = stackalloc byte[CollectorSize];
            Collector(0).Cells.CopyTo(first);
            Collector(1).Cells.CopyTo(Collector(0).Cells);
            first.CopyTo(Collector(1).Cells);
        }
    }

    [InlineArray(5)]
    private struct Words
    {
        private ulong _first;
    }
}

/// <summary>What has become of a session.</summary>
internal enum Key : byte
{
    None,
    Committed,
    Revoked,
}

internal readonly ref struct SessionCells(Span<byte> cells)
{
    private readonly Span<byte> _cells = cells;

    /// <summary>How many of its steps it has done.</summary>
    internal ref byte Step => ref _cells[0];

    /// <summary>Bit 0: registered. Bit 1: it must store the chunk.</summary>
    internal ref byte Flags => ref _cells[1];

    /// <summary>Condemned packs that it has seen.</summary>
    internal ref byte Condemned => ref _cells[2];

    /// <summary>Its commit key in bits 0–1; the pack that it has put, plus one, above them.</summary>
    internal ref byte KeyAndPack => ref _cells[3];

    internal readonly Key Key => (Key)(_cells[3] & 3);
}

internal readonly ref struct GenerationCells(Span<byte> cells)
{
    internal const byte HasCondemned = 1;
    internal const byte HasSweep = 2;
    internal const byte Done = 4;
    private readonly Span<byte> _cells = cells;

    /// <summary>Which of its objects are there.</summary>
    internal ref byte Flags => ref _cells[0];

    internal ref byte Condemned => ref _cells[1];

    internal ref byte Sweep => ref _cells[2];

    internal readonly bool Has(byte flag) => (_cells[0] & flag) != 0;
}

internal readonly ref struct CollectorCells(Span<byte> cells)
{
    internal readonly Span<byte> Cells = cells;

    /// <summary>Where it is: one of <see cref="At"/>.</summary>
    internal ref byte At => ref Cells[0];

    internal ref byte Generation => ref Cells[1];

    /// <summary>Packs that it wants condemned.</summary>
    internal ref byte Candidates => ref Cells[2];

    /// <summary>The pack that it copies, plus one.</summary>
    internal ref byte From => ref Cells[3];

    /// <summary>The pack that it copies to, plus one.</summary>
    internal ref byte To => ref Cells[4];

    /// <summary>Sessions that it has listed.</summary>
    internal ref byte Sessions => ref Cells[5];

    /// <summary>Packs that it is about to delete.</summary>
    internal ref byte Sweep => ref Cells[6];
}

/// <summary>Where a collector is.</summary>
internal enum At : byte
{
    Begin,
    Mark,
    Copy,
    IndexCopy,
    Condemn,
    ListSessions,
    Revoke,
    MarkAgain,
    PublishSweep,
    TidyFirst,
    TidySecond,
    Delete,
    LateCopy,
    Stopped,
}
