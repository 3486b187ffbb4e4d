using System.Buffers;
using Quench.Blocks;
using Quench.Snapshots.Tracking;

namespace Quench.Tests.Simulation.Tracking;

/// <content>Those who act in turns: writers, the committer of intents, the checkpointer, the takers of snapshots.</content>
internal sealed partial class TrackingWorld
{
    private IEnumerable<bool> Writer()
    {
        while (true)
        {
            yield return true;
            Extent range = NextRange();
            while (_isGateClosed)
            {
                yield return true;
            }

            _inFlight++;
            yield return true;
            bool isGuarded = false;
            if (_mutation == TrackingMutation.LookBeforeBit)
            {
                isGuarded = _core.IsGuarded(range);
                yield return true;
            }

            if (_mutation != TrackingMutation.BitAfterWrite)
            {
                _core.Set(range);
                yield return true;
            }

            if (_mutation != TrackingMutation.LookBeforeBit)
            {
                isGuarded = _core.IsGuarded(range);
                yield return true;
            }

            if (!isGuarded)
            {
                long ticket = _core.Arm(range);
                Tally.Waits += ticket == 0 ? 0 : 1;
                while (!_core.IsCommitted(ticket) && _mutation != TrackingMutation.IntentNotAwaited)
                {
                    yield return true;
                }
            }
            else
            {
                Tally.FreeWrites++;
            }

            foreach (bool step in Land(range))
            {
                yield return step;
            }

            if (_mutation == TrackingMutation.BitAfterWrite)
            {
                _core.Set(range);
            }

            _inFlight--;
            Tally.Writes++;
            if (_dice.OneIn(8))
            {
                _origin.Flush();
            }
        }
    }

    private IEnumerable<bool> Land(Extent range)
    {
        for (long grain = range.Offset / ChangeMap.GrainSize; grain * ChangeMap.GrainSize < range.End; grain++)
        {
            foreach (HashSet<long> written in _writtenSince.Values)
            {
                written.Add(grain);
            }

            _origin.Write(grain, ++_value);
            yield return true;
        }
    }

    private IEnumerable<bool> Committer()
    {
        List<int> pages = [];
        byte[] page = new byte[ChangeTracker.PageSize];
        while (true)
        {
            yield return true;
            if (!_core.BeginCommit(pages))
            {
                continue;
            }

            foreach (int number in pages)
            {
                yield return true;
                _core.EncodePage(number, page);
                if (_mutation == TrackingMutation.ClearBeforeCheckpoint)
                {
                    ForgetBasis(number, page);
                }

                yield return true;
                _intents.Write(number * ChangeTracker.PageSize, page);
            }

            yield return true;
            if (_mutation == TrackingMutation.IntentNotSynced)
            {
                _core.CompleteCommit();
                yield return true;
                _intents.Sync();
                continue;
            }

            _intents.Sync();
            yield return true;
            _core.CompleteCommit();
            Tally.Commits++;
        }
    }

    private void ForgetBasis(int page, byte[] bytes)
    {
        ulong[] bits = new ulong[IntentSector.Words];
        int perPage = ChangeTracker.PageSize / IntentSector.Size;
        for (int index = 0; index < perPage; index++)
        {
            Span<byte> sector = bytes.AsSpan(index * IntentSector.Size, IntentSector.Size);
            if (IntentSector.TryDecode(sector, (page * perPage) + index, _state, bits, out _))
            {
                IntentSector.Encode(sector, (page * perPage) + index, _state, 0, bits);
            }
        }
    }

    private IEnumerable<bool> Checkpointer()
    {
        while (true)
        {
            yield return true;
            if (_dice.OneIn(4) && !_areBooksTaken && _core.NeedsCheckpoint)
            {
                _areBooksTaken = true;
                foreach (bool step in MakeCheckpoint(CheckpointCondition.InUse, ""))
                {
                    yield return step;
                }

                _areBooksTaken = false;
            }
        }
    }

    private IEnumerable<bool> MakeCheckpoint(CheckpointCondition condition, string stamp)
    {
        _core.SelectQuiet();
        yield return true;
        ChangeMap copy = _core.Copy();
        yield return true;
        ArrayBufferWriter<byte> bytes = new();
        long sequence = _core.NextSequence;
        Describe(condition, stamp, sequence, _core.Marks, copy).Encode(bytes);
        SimulatedFile slot = _slots[WriteTracker.SlotOf(sequence)];
        slot.Write(0, bytes.WrittenSpan);
        yield return true;
        if (_mutation == TrackingMutation.ClearBeforeCheckpoint)
        {
            _core.CompleteCheckpoint();
            for (int late = 0; late < 20; late++)
            {
                yield return true;
            }

            slot.Sync();
        }
        else
        {
            slot.Sync();
            yield return true;
            _core.CompleteCheckpoint();
        }

        Tally.Checkpoints++;
    }

    private IEnumerable<bool> Taker()
    {
        while (true)
        {
            yield return true;
            if (!_dice.OneIn(20))
            {
                continue;
            }

            Generation fresh = new(_length);
            _isGateClosed = true;
            while (_inFlight > 0 && _mutation != TrackingMutation.SwapNotAtomic)
            {
                yield return true;
            }

            _core.Advance(fresh);
            Dictionary<long, long> instant = _origin.Copy();
            _isGateClosed = false;
            Tally.Instants++;
            Guid vault = new(_dice.Below(Vaults), 0, 0, new byte[8]);
            foreach (bool step in AskAndRemember(vault, fresh, instant))
            {
                yield return step;
            }
        }
    }

    private IEnumerable<bool> AskAndRemember(Guid vault, Generation since, Dictionary<long, long> instant)
    {
        HashSet<long> later = []; // what is written after the instant
        Guid point = NewId();
        _writtenSince[point] = later;
        yield return true;
        while (_areBooksTaken)
        {
            yield return true;
        }

        Check(_core.Find(vault, since), instant, point);
        if (_dice.OneIn(3))
        {
            _writtenSince.Remove(point);
            yield break; // a snapshot that becomes no point
        }

        yield return true;
        if (_mutation != TrackingMutation.RememberWithoutFlush)
        {
            _origin.Flush();
        }

        while (_areBooksTaken)
        {
            yield return true;
        }

        _areBooksTaken = true;
        _points[point] = instant;
        _core.Remember(vault, point, _used, since);
        _lost = "";
        foreach (bool step in MakeCheckpoint(CheckpointCondition.InUse, ""))
        {
            yield return step;
        }

        _areBooksTaken = false;
        Tally.Remembered++;
    }
}
