namespace Quench.Exports.Nbd;

/// <summary>
/// When a lane that has received a command need not hand the lead on: it, or another that serves, will come back for the next command soon enough, and
/// no lane is woken. Not thread-safe: its owner's lock guards it.
/// </summary>
/// <remarks>
/// Waking a lane costs more than a quick device takes for a command. So while the device is quick, a lane with short work keeps the lead where commands come
/// one by one, or where another serves as well and nothing more has come yet; and no more lanes serve than keep the processors busy. A client with many
/// commands in flight finds them all served: each receiving takes all that has come, and what is more than one wakes others. A device that is slow gets all
/// lanes: what it wants is a deep queue.
/// </remarks>
/// <param name="maxLanes">How many a connection may have.</param>
/// <param name="everywhere">Those of all connections.</param>
internal sealed class LanePolicy(int maxLanes, ServingLanes everywhere)
{
    private const int AloneStreak = 16; // commands that came one by one, after which the next is thought to do so too
    private const int SlowStreak = 64;  // commands without a quick one among them, after which a device counts as slow: one that waited for a processor proves nothing

    // As many lanes, of all connections, keep the processors busy with small commands; with large ones, which are copied, half as many (docs/performance.md).
    private static readonly int s_busy = 4 * Environment.ProcessorCount;

    private int _serving;    // lanes with a command
    private int _slowCount;  // commands since the last quick one
    private int _aloneCount; // commands since there were two at once

    /// <summary>A lane has received a command.</summary>
    /// <param name="lane">The lane.</param>
    /// <param name="moreHasCome">Whether the next command is there already.</param>
    /// <returns>Whether nobody need receive while it serves.</returns>
    internal bool Begin(TransmissionLane lane, bool moreHasCome)
    {
        _serving++;
        _aloneCount = _serving == 1 && !moreHasCome ? Math.Min(_aloneCount + 1, AloneStreak) : 0;
        if (_slowCount == SlowStreak)
        {
            return _serving == maxLanes;
        }

        int all = everywhere.Count + 1;
        LaneWork work = lane.Work;
        lane.IsAlone = _aloneCount == AloneStreak && work == LaneWork.Short;
        return lane.IsAlone || work switch
        {
            LaneWork.Short => all >= s_busy || (_serving > 1 && !moreHasCome),
            LaneWork.Large => 2 * all >= s_busy,
            _ => _serving >= Math.Min(maxLanes, s_busy),
        };
    }

    /// <summary>A lane has served its command.</summary>
    internal void End(TransmissionLane lane)
    {
        _serving--;
        _aloneCount = lane.SawAnother ? 0 : _aloneCount;
        if (lane.Work != LaneWork.Other)
        {
            _slowCount = lane.WasQuick ? 0 : Math.Min(_slowCount + 1, SlowStreak);
        }
    }

    /// <summary>Lanes do not get through.</summary>
    internal void CountAsSlow() => _slowCount = SlowStreak;
}
