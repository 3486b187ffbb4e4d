using System.Buffers;
using Quench.Blocks;
using Quench.Snapshots.Tracking;

namespace Quench.Tests.Simulation.Tracking;

/// <summary>
/// A tracked volume in one thread, made from a number: writers, instants, points remembered and asked for, commits and checkpoints, all interleaved at
/// random; kills, power cuts that lose what was not synced, detaches in order, foreign writes, new attachments. The model keeps what each point holds.
/// The promise: what differs between a point and an instant is in the answer. Or there is no answer.
/// </summary>
internal sealed partial class TrackingWorld
{
    private const int Vaults = 3;

    private readonly Dice _dice;
    private readonly TrackingMutation _mutation;
    private readonly long _length;
    private readonly int[] _places; // regions in which things happen
    private readonly SimulatedOrigin _origin = new();
    private readonly SimulatedFile _intents = new();
    private readonly SimulatedFile[] _slots = [new(), new()];
    private readonly Dictionary<Guid, Dictionary<long, long>> _points = []; // what each point holds
    private readonly Dictionary<Guid, HashSet<long>> _writtenSince = [];    // for the points of this attachment that no crash came between
    private readonly byte[] _used = [1, 2, 3];

    private ChangeTracker _core;
    private List<IEnumerator<bool>> _actors = [];
    private Guid _state;
    private Guid _session;
    private OriginSeal? _seal;
    private int _boot = 1;
    private bool _foreignSinceBoot;
    private bool _isGateClosed;
    private bool _areBooksTaken;
    private int _inFlight;
    private long _value;
    private string _lost = "";
    private bool _crashedEver;

    private TrackingWorld(long seed, TrackingMutation mutation)
    {
        _dice = new Dice(seed);
        _mutation = mutation;
        bool large = _dice.OneIn(8);
        int regions = large ? IntentSector.Regions + 70 : _dice.Between(2, 6);
        _places = large ? [0, 63, 64, IntentSector.Regions - 1, IntentSector.Regions, regions - 1] : [.. Enumerable.Range(0, regions)];
        _length = ((long)regions * ChangeMap.RegionSize) - (_dice.Below(3) * 4096);
        _core = null!;
        Attach();
    }

    public TrackingTally Tally { get; } = new();

    public static TrackingWorld From(long seed, TrackingMutation mutation) => new(seed, mutation);

    public void Run(int attachments, int stepsEach)
    {
        for (int attachment = 0; attachment < attachments; attachment++)
        {
            int steps = _dice.Below(stepsEach);
            for (int step = 0; step < steps; step++)
            {
                Step();
            }

            Leave();
            if (_dice.OneIn(6))
            {
                WriteFromOutside();
            }

            Attach();
        }
    }

    private void Step()
    {
        Tally.Steps++;
        int index = _dice.Below(_actors.Count);
        if (!_actors[index].MoveNext())
        {
            throw new SimulationException("an actor ended");
        }
    }

    private void Leave()
    {
        int way = _dice.Below(5);
        if (way < 2)
        {
            Detach();
            return;
        }

        _crashedEver = true;
        _writtenSince.Clear();
        if (way == 2)
        {
            Tally.Kills++;
            _seal = new OriginSeal(_session, $"{_origin.Stamp}", null);
            return;
        }

        Tally.PowerCuts++;
        bool torn = _intents.LosePower(_dice);
        torn |= _slots[0].LosePower(_dice);
        torn |= _slots[1].LosePower(_dice);
        Tally.TornSectors += torn ? 1 : 0;
        _origin.LosePower(_dice);
        _boot++;
        _foreignSinceBoot = false;
    }

    private void Detach()
    {
        _isGateClosed = true;
        for (int patience = 0; _inFlight > 0 || _areBooksTaken; patience++)
        {
            Step();
            if (patience > 100_000)
            {
                throw new SimulationException("the volume never became quiet");
            }
        }

        _origin.Flush();
        if (_core.Marks.Count > 0 || _lost.Length > 0)
        {
            Tally.CleanDetaches++;
            string stamp = _mutation == TrackingMutation.StampIgnored ? "any" : $"{_origin.Stamp}";
            foreach (bool _ in MakeCheckpoint(CheckpointCondition.Clean, stamp))
            {
                // nobody else is there
            }
        }
    }

    private void WriteFromOutside()
    {
        Tally.ForeignWrites++;
        _origin.Write(GrainOf(_places[_dice.Below(_places.Length)]), ++_value);
        _origin.Flush();
        _foreignSinceBoot = true;
        _writtenSince.Clear();
    }

    private void Attach()
    {
        string stamp = _mutation == TrackingMutation.StampIgnored ? "any" : $"{_origin.Stamp}";
        OriginFacts facts = new(_length, "origin", stamp, $"boot {_boot}", !_foreignSinceBoot);
        byte[][] slots = [_slots[0].Content(), _slots[1].Content()];
        TrackingRecovery recovery = TrackingRecovery.From(slots, _intents.Content(), _seal, facts);
        bool isNew = slots.All(slot => slot.Length == 0);
        Tally.Believed += recovery.Marks.Count > 0 ? 1 : 0;
        Tally.Disbelieved += recovery.Lost.Length > 0 ? 1 : 0;
        _state = recovery.State ?? NewId();
        _session = NewId();
        _lost = recovery.Lost;
        if (!isNew)
        {
            ArrayBufferWriter<byte> bytes = new();
            Describe(CheckpointCondition.InUse, "", recovery.Sequence + 1, recovery.Marks, new ChangeMap(_length)).Encode(bytes);
            PutSlot(recovery.Sequence + 1, bytes.WrittenSpan);
            if (recovery.Marks.Count == 0)
            {
                PutSlot(recovery.Sequence + 2, bytes.WrittenSpan);
            }

            _seal = null;
        }

        _core = new ChangeTracker(_length, _state, isNew ? 0 : recovery.Sequence + 1, recovery.Marks);
        _isGateClosed = false;
        _areBooksTaken = false;
        _inFlight = 0;
        _actors = [.. Enumerable.Range(0, _dice.Between(1, 4)).Select(_ => Writer().GetEnumerator()), Committer().GetEnumerator(), Checkpointer().GetEnumerator(), Taker().GetEnumerator()];
    }

    private void PutSlot(long sequence, ReadOnlySpan<byte> bytes)
    {
        _slots[WriteTracker.SlotOf(sequence)].Write(0, bytes);
        _slots[WriteTracker.SlotOf(sequence)].Sync();
    }

    /// <summary>The promise. And, where no crash came between, that nothing is named that was not written.</summary>
    private void Check(VolumeMark? mark, Dictionary<long, long> instant, Guid asking)
    {
        if (mark is null)
        {
            return;
        }

        Tally.Answers++;
        Tally.AnswersAfterCrash += _crashedEver ? 1 : 0;
        Tally.DoubtfulAnswers += mark.Doubtful is null ? 0 : 1;
        Dictionary<long, long> then = _points[mark.Point];
        foreach (long grain in then.Keys.Union(instant.Keys))
        {
            if (then.GetValueOrDefault(grain) != instant.GetValueOrDefault(grain) && !Names(mark, grain))
            {
                throw new SimulationException($"grain {grain} was {then.GetValueOrDefault(grain)} at the point and is {instant.GetValueOrDefault(grain)} now, and the answer does not name it");
            }
        }

        if (mark.Doubtful is null && _writtenSince.TryGetValue(mark.Point, out HashSet<long>? written) && _writtenSince[asking].Count == 0)
        {
            Tally.ExactAnswers++;
            long named = mark.Changed.CountWith(null);
            if (named > written.Count)
            {
                throw new SimulationException($"the answer names {named} grains, and {written.Count} were written");
            }
        }
    }

    private static bool Names(VolumeMark mark, long grain)
    {
        int region = (int)(grain / ChangeMap.GrainsInRegion);
        return (mark.Changed[region] & (1UL << (int)(grain % ChangeMap.GrainsInRegion))) != 0
            || (mark.Doubtful is { } doubtful && (doubtful[region / 64] & (1UL << (region % 64))) != 0);
    }

    private Checkpoint Describe(CheckpointCondition condition, string stamp, long sequence, IReadOnlyList<VolumeMark> marks, ChangeMap changed) => new()
    {
        State = _state,
        Sequence = sequence,
        VolumeLength = _length,
        Condition = condition,
        Identity = "origin",
        Stamp = stamp,
        Session = _session,
        BootId = $"boot {_boot}",
        Lost = _lost,
        Marks = marks,
        Changed = changed,
    };

    private Extent NextRange()
    {
        long first = GrainOf(_places[_dice.Below(_places.Length)]);
        long offset = (first * ChangeMap.GrainSize) + (_dice.Below(16) * 4096L);
        long length = 4096L << (_dice.OneIn(4) ? _dice.Below(7) : 0);
        return Extent.FromTo(offset, Math.Min(_length, offset + length));
    }

    /// <summary>A grain of a region; few of them, so that writers meet, the last ones too, so that ranges cross into the next region.</summary>
    private long GrainOf(int region)
    {
        long grain = ((long)region * ChangeMap.GrainsInRegion) + (_dice.OneIn(2) ? _dice.Below(3) : 61 + _dice.Below(3));
        return Math.Min(grain, (_length - 1 - (16 * 4096)) / ChangeMap.GrainSize);
    }

    private Guid NewId() => new(_dice.Below(int.MaxValue), (short)_dice.Below(short.MaxValue), (short)_dice.Below(short.MaxValue), BitConverter.GetBytes((long)_dice.Below(int.MaxValue)));
}
