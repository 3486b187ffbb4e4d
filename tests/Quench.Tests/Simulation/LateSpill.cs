using Quench.Snapshots.Engine;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Tests.Simulation;

/// <summary>
/// A spill file that is written behind the backs of those who save: the real books of the cells on their way, cells and file as sectors, and two savers who
/// may be late, fail, or never come back.
/// </summary>
internal sealed class LateSpill(World world, SimulatedShell shell, SnapshotState snapshot, int sectorsPerBlock)
{
    private readonly SpillRing _ring = new(world.Dice.Between(1, 16), writers: 2);
    private readonly Sector[] _cells = Garbage(16 * sectorsPerBlock);
    private readonly Sector[] _file = Garbage((int)snapshot.Limits.SpillSlots * sectorsPerBlock);
    private readonly int _budget = world.Dice.Between(100, 5_000);
    private readonly int _failOneIn = world.Dice.OneIn(4) ? world.Dice.Between(2, 200) : 0;
    private readonly int _stuckOneIn = world.Dice.OneIn(4) ? world.Dice.Between(2, 100) : 0;
    private bool _isGivenUp;

    /// <summary>The snapshot is gone, and the savers go home as soon as they can.</summary>
    public bool IsClosed { get; set; }

    private Tally Tally => world.Tally;

    /// <summary>Copies a run of blocks, a piece of it at a time, from the origin into cells.</summary>
    public IEnumerable<Pace> Save(long firstSector, long sectors, long firstSlot, CopyResult result)
    {
        int blocks = (int)((sectors + sectorsPerBlock - 1) / sectorsPerBlock);
        for (int done = 0; done < blocks;)
        {
            long since = world.Now;
            long position;
            int count;
            while (!_ring.TryReserve(blocks - done, out position, out count))
            {
                if (_isGivenUp || world.Now - since > _budget)
                {
                    Tally.SpillTooSlow += _isGivenUp ? 0 : 1;
                    GiveUp("the spill file is too slow");
                    result.HasFailed = true;
                    yield break;
                }

                Tally.WaitsForSpill++;
                world.Current.SleepsUntil = world.Now + world.Dice.Below(50);
                yield return Pace.Ran;
            }

            for (long sector = 0; sector < (long)count * sectorsPerBlock && (done * sectorsPerBlock) + sector < sectors; sector++)
            {
                _cells[(_ring.CellOf(position) * sectorsPerBlock) + sector] = shell.Origin[firstSector + (done * sectorsPerBlock) + sector];
                yield return Pace.Ran;
            }

            _ring.Fill(new SpillRun(position, firstSlot + done, count), world.Now);
            done += count;
        }
    }

    /// <summary>Reads one block, and again when its cell moved on meanwhile.</summary>
    public IEnumerable<Pace> Read(long slot, int firstSector, Sector[] into, long at, int count)
    {
        long position;
        do
        {
            _ = _ring.Find(slot, 1, out position);
            if (world.Dice.OneIn(8))
            {
                world.Current.SleepsUntil = world.Now + world.Dice.Below(5_000); // a thread is preempted just where it hurts
                yield return Pace.Ran;
            }

            for (int sector = 0; sector < count; sector++)
            {
                long from = ((position >= 0 ? _ring.CellOf(position) : slot) * sectorsPerBlock) + firstSector + sector;
                into[at + sector] = position >= 0 ? _cells[from] : _file[from];
                yield return Pace.Ran;
            }

            Tally.ReadsOnTheWay += position >= 0 ? 1 : 0;
        }
        while (position >= 0 && !_ring.IsAt(slot, position));
    }

    /// <summary>A saver's life.</summary>
    public IEnumerable<Pace> WriteOn()
    {
        while (!IsClosed)
        {
            if (_isGivenUp || !_ring.TryTakeRun(world.Dice.Between(1, 8), out SpillRun run))
            {
                world.Current.SleepsUntil = world.Now + world.Dice.Below(200);
                yield return Pace.Ran;
                continue;
            }

            if (_stuckOneIn > 0 && world.Dice.OneIn(_stuckOneIn))
            {
                world.Current.SleepsUntil = world.Now + 20_000;
                yield return Pace.Ran;
                Tally.SaversOutlivingSnapshot += IsClosed ? 1 : 0;
            }

            if (_failOneIn > 0 && world.Dice.OneIn(_failOneIn))
            {
                Tally.SpillFailures++;
                GiveUp("the spill file can't be written");
                continue;
            }

            for (long sector = 0; sector < (long)run.Count * sectorsPerBlock; sector++)
            {
                _file[(run.FirstSlot * sectorsPerBlock) + sector] = _cells[(_ring.CellOf(run.Position) * sectorsPerBlock) + sector];
                yield return Pace.Ran;
            }

            _ring.Complete(run);
        }
    }

    private void GiveUp(string why)
    {
        _isGivenUp = true;
        if (shell.Core.Snapshot == snapshot)
        {
            shell.Core.BreakSnapshot(new BrokenReason(BreakCause.SaveFailed, why));
        }
    }

    private static Sector[] Garbage(int count)
    {
        Sector[] sectors = new Sector[count];
        Array.Fill(sectors, Sector.Garbage);
        return sectors;
    }
}

/// <summary>How a copy went that took many steps.</summary>
internal sealed class CopyResult
{
    public bool HasFailed { get; set; }
}
