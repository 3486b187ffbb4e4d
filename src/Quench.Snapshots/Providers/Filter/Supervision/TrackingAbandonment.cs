using Quench.Blocks.Devices;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>Gives up change tracking for good before writes go on that nobody tracks: the next backup reads everything and says why.</summary>
internal static class TrackingAbandonment
{
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Notes it in the run folder, which is memory and can't hang, and strikes out what the tracking state's disk has. That disk may be the very thing
    /// that hangs: it gets a moment, then the volume goes on and the disk is tried again as long as this process lives.
    /// </summary>
    /// <param name="run">The attachment's folder.</param>
    /// <param name="origin">The origin.</param>
    /// <param name="reason">Why, in words.</param>
    /// <param name="moment">How long to wait until it is durable.</param>
    /// <param name="report">Receives what nobody waits for.</param>
    internal static void Begin(FilterDirectory run, Disk origin, string reason, TimeSpan moment, Action<Exception> report)
    {
        try
        {
            File.WriteAllText(run.Untracked, reason);
        }
        catch (IOException failure)
        {
            report(failure); // the revocation below is what is left
        }

        ManualResetEventSlim done = new(initialState: false);
        new Thread(() => Revoke(run, origin, reason, done, report)) { IsBackground = true, Name = "track-revoke" }.Start();
        done.Wait(moment);
    }

    private static void Revoke(FilterDirectory run, Disk origin, string reason, ManualResetEventSlim done, Action<Exception> report)
    {
        using ManualResetEventSlim never = new(initialState: false);
        while (!TryRevoke(StateDirectory.For(run.Name), origin, reason, report))
        {
            never.Wait(s_again);
        }

        done.Set();
    }

    private static bool TryRevoke(StateDirectory state, Disk origin, string reason, Action<Exception> report)
    {
        try
        {
            Checkpoint?[] found = [Checkpoint.TryDecode(StateDirectory.Content(state.Slot(0))), Checkpoint.TryDecode(StateDirectory.Content(state.Slot(1)))];
            if (found.OfType<Checkpoint>().MaxBy(checkpoint => checkpoint.Sequence) is not { } last)
            {
                return true; // nothing is there that anybody would believe
            }

            using StateFiles? medium = StateFiles.TryOpen(state, (long)ChangeTracker.PagesFor(last.VolumeLength) * ChangeTracker.PageSize);
            if (medium is null)
            {
                return false;
            }

            // Beyond a checkpoint that the last worker may have had half written.
            Checkpoint revoked = last with
            {
                Sequence = last.Sequence + 2,
                Condition = CheckpointCondition.Revoked,
                Stamp = "",
                Lost = reason,
                Marks = [],
                Changed = new ChangeMap(origin.Geometry.Length),
            };
            WriteTracker.WriteFirst(medium, revoked, bothSlots: true);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            report(failure);
            return false;
        }
    }
}
