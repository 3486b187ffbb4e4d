using Quench.Snapshots.Engine;

namespace Quench.Tests.Simulation;

/// <summary>Checks the engine's books against themselves and against the saves that the shell knows to be under way.</summary>
internal static class Books
{
    /// <summary>
    /// Each taken slot has exactly one owner: a saved block, or a save under way. Saving blocks are those of the saves under way.
    /// </summary>
    public static void Check(SnapshotState snapshot, IEnumerable<WriteOperation> underWay)
    {
        if (snapshot.Broken is not null || snapshot.IsEnded)
        {
            return;
        }

        bool[] owned = new bool[snapshot.Slots.Total];
        HashSet<long> saving = [];
        long filling = 0;
        foreach (SaveRun run in underWay.Where(write => write.Snapshot == snapshot).SelectMany(write => write.Saves))
        {
            long first = run.Origin.Offset / snapshot.BlockSize;
            long count = (run.Origin.Length + snapshot.BlockSize - 1) / snapshot.BlockSize;
            for (long i = 0; i < count; i++, filling++)
            {
                Own(owned, run.FirstSlot + i);
                _ = saving.Add(first + i);
            }
        }

        long wanted = CheckBlocks(snapshot, owned, saving);
        Require(
            snapshot.Orphans == filling - wanted,
            $"{filling} blocks are being saved, {wanted} of them wanted, but {snapshot.Orphans} orphans are counted");
        long owners = owned.LongCount(isOwned => isOwned);
        Require(snapshot.Slots.Used == owners, $"{snapshot.Slots.Used} slots are counted, {owners} have an owner");
        for (long slot = 0; slot < owned.Length; slot++)
        {
            Require(owned[slot] == snapshot.Slots.IsTaken(slot), $"slot {slot} is {(owned[slot] ? "owned and free" : "taken and leaked")}");
        }
    }

    /// <summary>Nobody who could go on is left asleep.</summary>
    public static void CheckWaiters(CopyBeforeWrite core, Dictionary<WriteOperation, long> waiting)
    {
        foreach ((WriteOperation write, long version) in waiting)
        {
            bool isRight = core.WakeVersion > version || MustWait(core, write);
            Require(isRight, $"a write at {write.Range} waits for {write.WaitsFor}, which is over, and nobody woke it");
        }
    }

    private static bool MustWait(CopyBeforeWrite core, WriteOperation write)
    {
        if (write.WaitsFor == WaitReason.Activation)
        {
            return core.IsActivating;
        }

        if (core.Snapshot is not { Broken: null } snapshot)
        {
            return false;
        }

        long first = write.Range.Offset / core.BlockSize;
        long end = (write.Range.End + core.BlockSize - 1) / core.BlockSize;
        bool isAnySaving = false;
        for (long block = first; block < end && !isAnySaving; block++)
        {
            isAnySaving = snapshot.StateOf(block) == BlockState.Saving;
        }

        return write.WaitsFor == WaitReason.OtherSave ? isAnySaving : snapshot.Slots.Free == 0;
    }

    private static long CheckBlocks(SnapshotState snapshot, bool[] owned, HashSet<long> saving)
    {
        long wanted = 0;
        for (long block = 0; block < snapshot.Blocks; block++)
        {
            BlockState state = snapshot.StateOf(block);
            Require(snapshot.IsInOneSetOnly(block), $"block {block} is in two of the sets that exclude each other");
            long slot = snapshot.SlotOf(block);
            Require(state == BlockState.Saved == (slot >= 0), $"block {block} is {state}, its slot is {slot}");
            if (state == BlockState.Saved)
            {
                Own(owned, slot);
            }
            else if (state == BlockState.Saving)
            {
                Require(saving.Contains(block), $"block {block} is marked as being saved, but nobody saves it");
                wanted++;
            }
        }

        return wanted;
    }

    private static void Own(bool[] owned, long slot)
    {
        Require(!owned[slot], $"slot {slot} has two owners");
        owned[slot] = true;
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new SimulationException("the books are wrong: " + message);
        }
    }
}
