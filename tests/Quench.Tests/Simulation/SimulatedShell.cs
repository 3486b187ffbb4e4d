using Quench.Blocks;
using Quench.Snapshots.Engine;

namespace Quench.Tests.Simulation;

/// <summary>
/// Does what a real shell does around the engine, in the same order of calls, but a sector at a time: between any two sectors anybody else
/// may act.
/// A mutation makes it, or what it tells the engine, wrong in one way.
/// </summary>
internal sealed class SimulatedShell
{
    private readonly World _world;
    private readonly Mutation _mutation;
    private readonly Dictionary<SnapshotState, SlotMemory> _areas = [];
    private readonly Dictionary<SnapshotState, LateSpill> _spills = []; // of those snapshots whose spill file is written behind
    private readonly Sector[] _expected; // what the origin must hold: kept by the writers themselves
    private int _sequence = 1;

    public SimulatedShell(World world, long volumeLength, int blockSize, Mutation mutation)
    {
        _world = world;
        _mutation = mutation;
        Core = new CopyBeforeWrite(volumeLength, blockSize);
        Origin = new Sector[volumeLength / Sector.Size];
        for (int i = 0; i < Origin.Length; i++)
        {
            Origin[i] = new Sector(i + 1, 1);
        }

        _expected = [.. Origin];
    }

    public CopyBeforeWrite Core { get; }

    public Sector[] Origin { get; }

    /// <summary>The saves under way, for the books.</summary>
    public List<WriteOperation> Saving { get; } = [];

    /// <summary>The writes that wait, each with the wake version it saw when it began to.</summary>
    public Dictionary<WriteOperation, long> Waiting { get; } = [];

    /// <summary>How many writes have some sectors on the origin and some not.</summary>
    public int Landing { get; private set; }

    public int Areas => _areas.Count;

    private int SectorsPerBlock => Core.BlockSize / Sector.Size;

    private Tally Tally => _world.Tally;

    private Dice Dice => _world.Dice;

    public SnapshotState Prepare(DiffAreaLimits limits, OverflowPolicy overflow)
    {
        SnapshotState prepared = SnapshotState.Prepare(Core.VolumeLength, Core.BlockSize, limits, overflow);
        _areas.Add(prepared, new SlotMemory(limits.RamSlots, limits.SpillSlots, SectorsPerBlock));
        if (limits.SpillSlots > 0 && _world.HasLateSpills)
        {
            LateSpill spill = new(_world, this, prepared, SectorsPerBlock);
            _spills.Add(prepared, spill);
            _world.StartSavers(spill);
        }

        return prepared;
    }

    /// <summary>One write, from its announcement to its end.</summary>
    public IEnumerable<Pace> Write(Extent range, bool isZero)
    {
        Sector stamp = new(isZero ? 0 : 1, ++_sequence);
        _world.Trace($"write {stamp.Sequence} of {Show(range)} begins{(isZero ? " (zeros)" : "")}");
        WriteOperation write = Core.BeginWrite(range);
        bool hasLanded = false;
        long heldSince = -1;
        for (WriteStep step = Next(write, stamp); step != WriteStep.Land; step = Next(write, stamp))
        {
            if (step == WriteStep.Wait)
            {
                heldSince = write.WaitsFor == WaitReason.DiffArea && heldSince < 0 ? _world.Now : heldSince;
                if (!GiveUpHolding(write, heldSince))
                {
                    Waiting.Add(write, Core.WakeVersion);
                    yield return Pace.Waits;
                    _ = Waiting.Remove(write);
                }
            }
            else
            {
                if (_mutation == Mutation.WriteBeforeCopy && !hasLanded)
                {
                    hasLanded = true;
                    foreach (Pace pace in Land(range, stamp))
                    {
                        yield return pace;
                    }
                }

                foreach (Pace pace in Save(write))
                {
                    yield return pace;
                }
            }
        }

        if (_mutation == Mutation.ActivationWithoutDrain)
        {
            Core.EndWrite(write);
        }

        foreach (Pace pace in hasLanded ? [] : Land(range, stamp))
        {
            yield return pace;
        }

        if (_mutation != Mutation.ActivationWithoutDrain)
        {
            Core.EndWrite(write);
        }

        _world.Trace($"write {stamp.Sequence} has ended");
    }

    /// <summary>One read of a snapshot. Disposing it half-way is the crash of its reader.</summary>
    public IEnumerable<Pace> Read(Moment moment, Extent range, ReadAnswer answer)
    {
        SlotMemory? area = _areas.GetValueOrDefault(moment.Snapshot); // gone with the snapshot, which then answers no segments
        LateSpill? spill = _spills.GetValueOrDefault(moment.Snapshot);
        Sector[] found = answer.Reset((int)(range.Length / Sector.Size));
        long begun = _world.Tick();
        ReadPlan plan = Core.BeginRead(moment.Snapshot, range);
        try
        {
            while (plan.Status == ReadStatus.Reading)
            {
                foreach (ReadSegment segment in plan.Segments)
                {
                    CheckRun(area, segment);
                    bool isLate = spill is not null && segment.Source == ReadSource.Slot && segment.FirstSlot >= moment.Snapshot.Limits.RamSlots;
                    foreach (Pace pace in isLate ? TakeLate(moment, spill!, segment, found, range) : TakeAll(area, segment, found, range))
                    {
                        yield return pace;
                    }
                }

                if (_mutation == Mutation.ReaderDoesNotRecheck)
                {
                    break;
                }

                Tally.Rereads += Core.RecheckRead(plan) == ReadStatus.Reading ? 1 : 0;
            }

            answer.Status = plan.Status == ReadStatus.Reading ? ReadStatus.Done : plan.Status;
            if (_mutation != Mutation.ReaderDoesNotRecheck || (moment.Snapshot.Broken is null && !moment.Snapshot.IsEnded))
            {
                _world.Trace($"read of {Show(range)}: {answer.Status}");
                moment.Judge(answer.Status, range, found, begun, Tally);
                Tally.BlockOperations += answer.Status == ReadStatus.Done ? BlocksOf(range) : 0;
            }
        }
        finally
        {
            Core.EndRead(plan);
            FreeAreas();
        }
    }

    public void EndSnapshot()
    {
        SnapshotState ended = Core.EndSnapshot()!;
        Tally.SavesOutlivingSnapshot += ended.SavesInFlight;
        if (_mutation == Mutation.SlotMemoryFreedAtEnd)
        {
            _areas[ended].Free();
        }

        FreeAreas();
    }

    public void CancelActivation(SnapshotState prepared)
    {
        Core.CancelActivation();
        _ = _areas.Remove(prepared);
        CloseSpill(prepared);
    }

    /// <summary>The volume itself is right: every write is there, whole, and nothing else.</summary>
    public void CheckOrigin()
    {
        for (int i = 0; i < Origin.Length; i++)
        {
            if (Origin[i] != _expected[i])
            {
                throw new SimulationException("the volume itself is wrong: " + Sector.Compare(i, Origin[i], _expected[i]));
            }
        }
    }

    private WriteStep Next(WriteOperation write, Sector stamp)
    {
        WriteStep step = Core.Next(write);
        if (step == WriteStep.Wait)
        {
            Tally.WaitsForActivation += write.WaitsFor == WaitReason.Activation ? 1 : 0;
            Tally.WaitsForOtherSave += write.WaitsFor == WaitReason.OtherSave ? 1 : 0;
            Tally.WaitsForDiffArea += write.WaitsFor == WaitReason.DiffArea ? 1 : 0;
            if (_mutation == Mutation.OverlapNotAwaited && write.WaitsFor == WaitReason.OtherSave)
            {
                step = WriteStep.Land;
            }
        }

        _world.Trace($"write {stamp.Sequence}: {Show(step, write)}");
        return step;
    }

    /// <summary>The shell's clock: after the limit the snapshot pays.</summary>
    private bool GiveUpHolding(WriteOperation write, long heldSince)
    {
        if (write.WaitsFor != WaitReason.DiffArea)
        {
            return false;
        }

        if (_world.Now - heldSince < _world.HoldLimit)
        {
            _world.Current.Deadline = heldSince + _world.HoldLimit;
            return false;
        }

        _world.Trace("a writer was held for too long");
        Core.BreakSnapshot(new BrokenReason(BreakCause.HoldLimit, "a writer was held for too long"));
        return true;
    }

    private IEnumerable<Pace> Save(WriteOperation write)
    {
        SlotMemory area = _areas[write.Snapshot!];
        SnapshotState snapshot = write.Snapshot!;
        SaveRun[] runs = [.. write.Saves];
        Saving.Add(write);
        if (_mutation == Mutation.SavedBeforeCopyIsComplete)
        {
            CompleteSave(write, SaveOutcome.Saved);
        }

        bool hasFailed = _world.SaveFailsOneIn > 0 && Dice.OneIn(_world.SaveFailsOneIn);
        LateSpill? spill = _spills.GetValueOrDefault(snapshot);
        CopyResult late = new();
        for (int i = 0; i < runs.Length && !late.HasFailed; i++)
        {
            long sectors = runs[i].Origin.Length / Sector.Size;
            long skipped = i < runs.Length - 1 ? 0 : hasFailed ? sectors : _mutation == Mutation.LastBlockNotSaved ? SectorsPerBlock : 0;
            bool isLate = spill is not null && runs[i].FirstSlot >= snapshot.Limits.RamSlots;
            foreach (Pace pace in isLate ? CopyLate(runs[i], spill!, snapshot, sectors - skipped, late) : Copy(runs[i], area, sectors - skipped))
            {
                yield return pace;
            }

            Tally.BlockOperations += BlocksOf(runs[i].Origin);
            Tally.SpillSaves += runs[i].FirstSlot >= snapshot.Limits.RamSlots ? 1 : 0;
        }

        hasFailed |= late.HasFailed;
        Tally.Saves++;
        Tally.SaveFailures += hasFailed ? 1 : 0;
        if (_mutation != Mutation.SavedBeforeCopyIsComplete)
        {
            CompleteSave(write, hasFailed ? SaveOutcome.Failed("the spill file has no space") : SaveOutcome.Saved);
        }

        if (_mutation == Mutation.SlotFreedWhileNeeded && snapshot.SlotOf(runs[0].Origin.Offset / Core.BlockSize) == runs[0].FirstSlot)
        {
            snapshot.Slots.Release(runs[0].FirstSlot, 1);
        }
    }

    private void CompleteSave(WriteOperation write, SaveOutcome outcome)
    {
        _ = Saving.Remove(write);
        Core.CompleteSave(write, outcome);
        FreeAreas();
    }

    /// <summary>Copies one run: all of it into a buffer, then the buffer into the slots.</summary>
    private IEnumerable<Pace> Copy(SaveRun run, SlotMemory area, long sectors)
    {
        long first = run.Origin.Offset / Sector.Size;
        Sector[] buffer = new Sector[Math.Max(0, sectors)];
        for (int i = 0; i < buffer.Length; i++)
        {
            buffer[i] = Origin[first + i];
            yield return Pace.Ran;
        }

        area.CheckRun(run.FirstSlot, (run.Origin.Length + Core.BlockSize - 1) / Core.BlockSize);
        for (int i = 0; i < buffer.Length; i++)
        {
            area[run.FirstSlot, i] = buffer[i];
            yield return Pace.Ran;
        }
    }

    /// <summary>Copies one run to cells of the spill file, from where it goes on by itself.</summary>
    private static IEnumerable<Pace> CopyLate(SaveRun run, LateSpill spill, SnapshotState snapshot, long sectors, CopyResult result) =>
        sectors <= 0 ? [] : spill.Save(run.Origin.Offset / Sector.Size, sectors, run.FirstSlot - snapshot.Limits.RamSlots, result);

    /// <summary>Reads the sectors of a segment one at a time.</summary>
    private IEnumerable<Pace> TakeAll(SlotMemory? area, ReadSegment segment, Sector[] found, Extent range)
    {
        for (long at = segment.Extent.Offset; at < segment.Extent.End; at += Sector.Size)
        {
            found[(at - range.Offset) / Sector.Size] = Take(area, segment, at);
            yield return Pace.Ran;
        }
    }

    /// <summary>Reads a segment from cells or from the file, a block at a time.</summary>
    private IEnumerable<Pace> TakeLate(Moment moment, LateSpill spill, ReadSegment segment, Sector[] found, Extent range)
    {
        long first = segment.Extent.AlignOut(Core.BlockSize).Offset;
        for (long at = segment.Extent.Offset; at < segment.Extent.End;)
        {
            long block = (at - first) / Core.BlockSize;
            int skip = (int)((at - first) % Core.BlockSize) / Sector.Size;
            int count = (int)Math.Min(SectorsPerBlock - skip, (segment.Extent.End - at) / Sector.Size);
            long slot = segment.FirstSlot + block - moment.Snapshot.Limits.RamSlots;
            foreach (Pace pace in spill.Read(slot, skip, found, (at - range.Offset) / Sector.Size, count))
            {
                yield return pace;
            }

            at += (long)count * Sector.Size;
        }
    }

    private void CloseSpill(SnapshotState snapshot)
    {
        if (_spills.Remove(snapshot, out LateSpill? spill))
        {
            spill.IsClosed = true;
        }
    }

    /// <summary>Puts the new sectors on the origin, forwards or backwards, one at a time.</summary>
    private IEnumerable<Pace> Land(Extent range, Sector stamp)
    {
        long first = range.Offset / Sector.Size;
        long count = range.Length / Sector.Size;
        bool backwards = Dice.OneIn(2);
        Tally.BlockOperations += BlocksOf(range);
        for (long i = 0; i < count; i++)
        {
            long at = first + (backwards ? count - 1 - i : i);
            Landing += i == 0 ? 1 : 0;
            Origin[at] = _expected[at] = stamp.Place == 0 ? default : stamp with { Place = (int)at + 1 };
            Landing -= i == count - 1 ? 1 : 0;
            yield return Pace.Ran;
        }
    }

    private void CheckRun(SlotMemory? area, ReadSegment segment)
    {
        if (segment.Source == ReadSource.Slot)
        {
            area!.CheckRun(segment.FirstSlot, BlocksOf(segment.Extent));
        }
    }

    private Sector Take(SlotMemory? area, ReadSegment segment, long at) => segment.Source switch
    {
        ReadSource.Origin => Origin[at / Sector.Size],
        ReadSource.Slot => area![segment.FirstSlot, (at - segment.Extent.AlignOut(Core.BlockSize).Offset) / Sector.Size],
        _ => default,
    };

    /// <summary>Lets go of the memory of the snapshots that allow it.</summary>
    private void FreeAreas()
    {
        foreach ((SnapshotState snapshot, SlotMemory area) in _areas)
        {
            if (snapshot.CanFreeSlots)
            {
                area.Free();
                _ = _areas.Remove(snapshot);
                CloseSpill(snapshot);
            }
        }
    }

    private long BlocksOf(Extent range) => range.AlignOut(Core.BlockSize).Length / Core.BlockSize;

    private static string Show(WriteStep step, WriteOperation write) => step switch
    {
        WriteStep.Wait => $"waits for {write.WaitsFor}",
        WriteStep.Save => "saves " + string.Join(", ", write.Saves.Select(run => $"{Show(run.Origin)} to slot {run.FirstSlot}")),
        _ => "lands",
    };

    private static string Show(Extent range) => $"[{range.Offset / Sector.Size}, {range.End / Sector.Size})";
}

/// <summary>What a read answered.</summary>
internal sealed class ReadAnswer
{
    public ReadStatus Status { get; set; }

    public Sector[] Found { get; private set; } = [];

    public Sector[] Reset(int sectors)
    {
        Status = ReadStatus.Idle;
        Found = new Sector[sectors];
        Array.Fill(Found, Sector.Garbage);
        return Found;
    }
}
