using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>What becomes of the tracking state of a worker that died.</summary>
internal static class DeadTracking
{
    /// <summary>
    /// Notes what the origin looks like now that the dead worker's device is gone, so that the next attachment can tell whether somebody wrote to it in
    /// between. Without the note it would not believe the state.
    /// </summary>
    internal static void Seal(FilterDirectory run, string origin, long length)
    {
        StateDirectory state = StateDirectory.For(run.Name);
        try
        {
            if (StateDirectory.Content(state.Slot(0)).Length == 0 && StateDirectory.Content(state.Slot(1)).Length == 0)
            {
                state.Remove(); // nothing was ever remembered
                return;
            }

            Checkpoint? last = ((Checkpoint?[])[Read(state.Slot(0)), Read(state.Slot(1))]).OfType<Checkpoint>().MaxBy(checkpoint => checkpoint.Sequence);
            if (last is { Condition: CheckpointCondition.InUse })
            {
                string? lost = File.Exists(run.Untracked) ? File.ReadAllText(run.Untracked) : null;
                state.WriteSeal(new OriginSeal(last.Session, OriginLook.At(origin, length).Stamp, lost));
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // No note, no belief: the next backup reads everything.
        }
    }

    private static Checkpoint? Read(string slot) => Checkpoint.TryDecode(StateDirectory.Content(slot));
}
