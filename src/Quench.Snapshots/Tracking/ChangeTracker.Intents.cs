using Quench.Blocks;

namespace Quench.Snapshots.Tracking;

/// <content>The write-intent map: which regions may have changes that the checkpoint does not tell.</content>
internal sealed partial class ChangeTracker
{
    /// <summary>How the file is written: so many bytes at once, so many sectors.</summary>
    internal const int PageSize = 4096;

    private const int SectorsInPage = PageSize / IntentSector.Size;

    private readonly Guid _state;

    // Guarded by _gate; a bit a region. requested, committing, armed and retiring exclude each other; wanted is all four together.
    private readonly ulong[] _armed;      // set on the medium for good; writers look here without the lock
    private readonly ulong[] _requested;  // a writer waits for it
    private readonly ulong[] _committing; // on its way to the medium
    private readonly ulong[] _retiring;   // still set on the medium, to be cleared when the running checkpoint is durable
    private readonly ulong[] _wanted;     // what the medium is to hold
    private readonly bool[] _dirtyPages;  // pages of the file that differ from wanted
    private long _openTicket = 1;         // of the commit that carries what is requested now
    private long _committingTicket;
    private long _committedTicket;

    internal static int PagesFor(long volumeLength) =>
        (IntentSector.SectorsFor(ChangeMap.RegionsIn(volumeLength)) + SectorsInPage - 1) / SectorsInPage;

    /// <summary>Asks for the guard that <see cref="Mark"/> missed.</summary>
    /// <returns>The ticket of the commit to wait for; 0 when the write may land at once.</returns>
    internal long Arm(Extent range)
    {
        Generation generation = _generation;
        long ticket = 0;
        lock (_gate)
        {
            int last = ChangeMap.LastRegion(range);
            for (int region = ChangeMap.FirstRegion(range); region <= last; region++)
            {
                if (!IsGuarded(generation, region, ChangeMap.Mask(range, region)))
                {
                    ticket = Math.Max(ticket, ArmOne(region));
                }
            }
        }

        return ticket;
    }

    /// <summary>Whether a commit is durable.</summary>
    internal bool IsCommitted(long ticket) => Volatile.Read(ref _committedTicket) >= ticket;

    /// <summary>Begins a commit of all that is requested. One at a time.</summary>
    /// <param name="pages">Receives the pages to write.</param>
    /// <returns>False when there is nothing to write.</returns>
    internal bool BeginCommit(List<int> pages)
    {
        pages.Clear();
        lock (_gate)
        {
            for (int page = 0; page < _dirtyPages.Length; page++)
            {
                if (_dirtyPages[page])
                {
                    pages.Add(page);
                    _dirtyPages[page] = false;
                }
            }

            if (pages.Count == 0)
            {
                return false;
            }

            Array.Copy(_requested, _committing, _requested.Length);
            Array.Clear(_requested);
            _committingTicket = _openTicket++;
            return true;
        }
    }

    /// <summary>Fills a page of the file. It may hold more than was requested when the commit began, never less.</summary>
    internal void EncodePage(int page, Span<byte> into)
    {
        into.Clear();
        lock (_gate)
        {
            for (int index = 0; index < SectorsInPage; index++)
            {
                int sector = (page * SectorsInPage) + index;
                int firstWord = sector * IntentSector.Words;
                if (firstWord < _wanted.Length)
                {
                    int words = Math.Min(IntentSector.Words, _wanted.Length - firstWord);
                    IntentSector.Encode(into.Slice(index * IntentSector.Size, IntentSector.Size), sector, _state, _durableSequence, _wanted.AsSpan(firstWord, words));
                }
            }
        }
    }

    /// <summary>Says that the pages are durable: who waited may go on.</summary>
    internal void CompleteCommit()
    {
        lock (_gate)
        {
            for (int word = 0; word < _committing.Length; word++)
            {
                if (_committing[word] != 0)
                {
                    Volatile.Write(ref _armed[word], _armed[word] | _committing[word]);
                    _committing[word] = 0;
                }
            }

            Volatile.Write(ref _committedTicket, _committingTicket);
        }
    }

    /// <summary>How many regions a crash would make doubtful now.</summary>
    internal long CountArmed()
    {
        lock (_gate)
        {
            long sum = 0;
            foreach (ulong word in _wanted)
            {
                sum += System.Numerics.BitOperations.PopCount(word);
            }

            return sum;
        }
    }

    private long ArmOne(int region)
    {
        if (Has(_committing, region))
        {
            return _committingTicket;
        }

        if (Has(_retiring, region))
        {
            Put(_retiring, region, false); // the medium still has it: it stays
            Put(_armed, region, true);
            return 0;
        }

        Put(_requested, region, true);
        Put(_wanted, region, true);
        _dirtyPages[PageOf(region)] = true;
        return _openTicket;
    }

    private static int PageOf(int region) => region / IntentSector.Regions / SectorsInPage;

    private static bool Has(ulong[] set, int region) => (Volatile.Read(ref set[region >> 6]) & (1UL << (region & 63))) != 0;

    private static void Put(ulong[] set, int region, bool value)
    {
        ref ulong word = ref set[region >> 6];
        ulong bit = 1UL << (region & 63);
        Volatile.Write(ref word, value ? word | bit : word & ~bit);
    }
}
