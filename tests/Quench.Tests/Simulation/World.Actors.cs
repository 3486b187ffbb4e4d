using Quench.Blocks;
using Quench.Snapshots.Engine;

namespace Quench.Tests.Simulation;

// The people of the world. Each story yields wherever somebody else may act.
internal sealed partial class World
{
    /// <summary>Writes, zeroes and discards, on purpose often where the others do.</summary>
    private IEnumerable<Pace> WriteOn()
    {
        while (_operationsLeft > 0)
        {
            _operationsLeft--;
            Tally.Operations++;
            foreach (Pace pace in Shell.Write(SomewhereHot(), isZero: Dice.OneIn(6)))
            {
                yield return pace;
            }

            if (Dice.OneIn(10))
            {
                Current.SleepsUntil = Now + Dice.Below(200);
                yield return Pace.Ran;
            }
        }
    }

    /// <summary>Takes one snapshot after another, and ends some of them before their time.</summary>
    private IEnumerable<Pace> TakeSnapshots()
    {
        do
        {
            Current.SleepsUntil = Now + Dice.Below(300);
            yield return Pace.Ran;
            SnapshotState prepared = Prepare();
            Trace($"activation begins: {prepared.Limits}, {prepared.Overflow}");
            Shell.Core.BeginActivation(prepared);
            bool isCancelled = false;
            while (!isCancelled && !Shell.Core.TryFinishActivation())
            {
                isCancelled = Dice.OneIn(20);
                yield return isCancelled ? Pace.Ran : Pace.Waits;
            }

            if (isCancelled)
            {
                Trace("activation cancelled");
                Tally.ActivationsCancelled++;
                Shell.CancelActivation(prepared);
                continue;
            }

            foreach (Pace pace in LiveWith(Remember(prepared)))
            {
                yield return pace;
            }
        }
        while (_operationsLeft > 0);
    }

    private SnapshotState Prepare()
    {
        int blocks = (int)(Shell.Core.VolumeLength / BlockSize) + 1;
        int total = Dice.OneIn(3) ? Dice.Below(1 + (blocks / 2)) : Dice.Between(blocks / 2, blocks);
        int ram = Dice.OneIn(4) ? total : Dice.Below(total + 1);
        OverflowPolicy overflow = Dice.OneIn(2) ? OverflowPolicy.BreakSnapshot : OverflowPolicy.HoldWriter;
        return Shell.Prepare(new DiffAreaLimits(ram, total - ram, Dice.Between(1, 100)), overflow);
    }

    /// <summary>The instant: from here on the snapshot must be this disk.</summary>
    private Moment Remember(SnapshotState snapshot)
    {
        Trace("the instant");
        Tally.Activations++;
        Require(_mutation != Mutation.None || Shell.Landing == 0, $"at the instant {Shell.Landing} writes are half landed");
        return new Moment(snapshot, Shell.Origin);
    }

    private IEnumerable<Pace> LiveWith(Moment moment)
    {
        _ = Start("imaging", ImageWithCrashes(moment));
        if (Dice.OneIn(2))
        {
            _ = Start("shrinking", KeepOnlyWhatIsUsed(moment));
        }
        else
        {
            Tally.ImagesNotShrunk++;
        }

        for (int i = Dice.Below(3); i > 0; i--)
        {
            _ = Start($"reader {i}", ReadAround(moment));
        }

        long until = Dice.OneIn(3) ? Now + Dice.Below(5_000) : long.MaxValue;
        while (!moment.ImagingIsOver && Now < until)
        {
            Current.SleepsUntil = Now + Dice.Below(200);
            yield return Pace.Ran;
        }

        NoteHowItBroke(moment.Snapshot);
        Trace("the snapshot ends");
        Shell.EndSnapshot();
    }

    private void NoteHowItBroke(SnapshotState snapshot)
    {
        Tally.BrokenFull += snapshot.Broken?.Cause == BreakCause.DiffAreaFull ? 1 : 0;
        Tally.BrokenSaveFailed += snapshot.Broken?.Cause == BreakCause.SaveFailed ? 1 : 0;
        Tally.BrokenHoldLimit += snapshot.Broken?.Cause == BreakCause.HoldLimit ? 1 : 0;
    }

    /// <summary>
    /// Images until all is released; now and then it crashes in the middle, and another begins with what was not released.
    /// </summary>
    private IEnumerable<Pace> ImageWithCrashes(Moment moment)
    {
        bool isFinished = false;
        while (!isFinished)
        {
            using IEnumerator<Pace> imaging = Image(moment).GetEnumerator();
            isFinished = true;
            while (imaging.MoveNext())
            {
                yield return imaging.Current;
                if (CrashOneIn > 0 && Dice.OneIn(CrashOneIn))
                {
                    Trace("imaging crashes");
                    Tally.ReaderCrashes++;
                    isFinished = false;
                    break;
                }
            }
        }

        moment.ImagingIsOver = true;
    }

    private IEnumerable<Pace> Image(Moment moment)
    {
        ReadAnswer answer = new();
        int order = Dice.Below(3);
        int pause = Dice.OneIn(2) ? 1 : Dice.Between(2, 1_000); // a slow imaging meets more writes and a fuller diff area
        while (NextToImage(moment, order) is { } range)
        {
            if (_mutation == Mutation.ReleasedBeforeRead)
            {
                Release(moment, range);
            }

            foreach (Pace pace in Shell.Read(moment, range, answer))
            {
                yield return pace;
            }

            if (answer.Status != ReadStatus.Done)
            {
                bool isAllowed = answer.Status is ReadStatus.Broken or ReadStatus.Ended;
                Require(isAllowed, $"imaging asked only for what was not released, and was answered {answer.Status}");
                yield break;
            }

            moment.Image(range, answer.Found);
            Current.SleepsUntil = Now + Dice.Below(pause);
            yield return Pace.Ran;
            Release(moment, range);
        }

        FinishImage(moment);
    }

    private void Release(Moment moment, Extent range)
    {
        long orphans = moment.Snapshot.Orphans;
        moment.Release(range, Tick());
        _ = Shell.Core.Release(moment.Snapshot, range);
        Tally.BlocksReleasedWhileSaving += moment.Snapshot.Orphans - orphans;
    }

    private void FinishImage(Moment moment)
    {
        SnapshotState snapshot = moment.Snapshot;
        if (snapshot.Broken is null && !snapshot.IsEnded)
        {
            moment.CompareImage();
            bool isEmpty = snapshot.Slots.Used == snapshot.Orphans;
            Require(isEmpty, $"all is imaged, and {snapshot.Slots.Used} slots are still taken for {snapshot.Orphans} orphans");
            Tally.ImagesCompleted++;
        }
    }

    /// <summary>
    /// What to image next: in order, anywhere, or what fills the diff area. Begins where a block begins and need not end where one does.
    /// Null when all is released.
    /// </summary>
    private Extent? NextToImage(Moment moment, int order)
    {
        SnapshotState snapshot = moment.Snapshot;
        if (order == 2 && snapshot.Usage.IsNearlyFull)
        {
            Extent[] saved = new Extent[3];
            int count = Shell.Core.GetSavedExtents(snapshot, saved);
            if (count > 0)
            {
                Tally.EmergencyExtents++;
                return saved[Dice.Below(count)];
            }
        }

        long block = moment.NextUnreleased(order == 0 ? 0 : Dice.Below((int)snapshot.Blocks));
        if (block < 0)
        {
            return null;
        }

        long end = block + 1;
        for (int more = Dice.Below(8); more > 0 && end < snapshot.Blocks && !moment.IsReleased(end); more--)
        {
            end++;
        }

        bool isRagged = end < snapshot.Blocks && !moment.IsReleased(end);
        long extra = isRagged ? Dice.Below((int)(moment.BlockExtent(end).Length / Sector.Size)) * Sector.Size : 0;
        return Extent.FromTo(moment.BlockExtent(block).Offset, moment.BlockExtent(end - 1).End + extra);
    }

    /// <summary>Says of some ranges, block borders or not, that they were not in use at the instant.</summary>
    private IEnumerable<Pace> KeepOnlyWhatIsUsed(Moment moment)
    {
        for (int i = Dice.Below(12); i > 0; i--)
        {
            Extent unused = Somewhere(Dice.OneIn(3) ? 4 : 16);
            moment.Drop(unused, Tick());
            long orphans = moment.Snapshot.Orphans;
            _ = Shell.Core.DropUnused(moment.Snapshot, unused);
            Tally.BlocksReleasedWhileSaving += moment.Snapshot.Orphans - orphans;
            yield return Pace.Ran;
        }
    }

    /// <summary>Reads the snapshot here and there, as someone would who has it mounted.</summary>
    private IEnumerable<Pace> ReadAround(Moment moment)
    {
        ReadAnswer answer = new();
        while (!moment.ImagingIsOver && answer.Status is not (ReadStatus.Broken or ReadStatus.Ended))
        {
            foreach (Pace pace in Shell.Read(moment, SomewhereHot(), answer))
            {
                yield return pace;
            }

            Current.SleepsUntil = Now + (answer.Status == ReadStatus.Released ? 100 : 0);
            yield return Pace.Ran;
        }
    }

    /// <summary>A range that is likely to meet another one: small, and half of the time in the first blocks.</summary>
    private Extent SomewhereHot()
    {
        if (Dice.OneIn(50))
        {
            return new Extent(0, Shell.Core.VolumeLength);
        }

        if (Dice.OneIn(2))
        {
            return Somewhere(8);
        }

        int hot = (int)Math.Min(Shell.Core.VolumeLength / Sector.Size, 4 * BlockSize / Sector.Size);
        int first = Dice.Below(hot);
        return Extent.FromTo((long)first * Sector.Size, (long)Dice.Between(first + 1, hot) * Sector.Size);
    }

    /// <summary>A range anywhere, at most a given part of the volume, not aligned to blocks.</summary>
    private Extent Somewhere(int part)
    {
        int sectors = (int)(Shell.Core.VolumeLength / Sector.Size);
        int first = Dice.Below(sectors);
        int count = Math.Min(sectors - first, 1 + Dice.Below(1 + (sectors / part)));
        return new Extent((long)first * Sector.Size, (long)count * Sector.Size);
    }
}
