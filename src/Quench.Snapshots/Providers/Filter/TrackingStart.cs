using System.Globalization;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>What came of beginning to track at attach.</summary>
/// <param name="Tracker">Null when the volume goes untracked.</param>
/// <param name="Off">Why it does; null when it is tracked.</param>
internal sealed record TrackingStart(WriteTracker? Tracker, string? Off)
{
    /// <summary>Reads what the last attachment left, and makes it durable that the volume is in use. Before the device is offered to anybody.</summary>
    /// <param name="run">The attachment's folder.</param>
    /// <param name="origin">Opened exclusively; nobody writes it yet.</param>
    /// <param name="wanted">False for an attachment without tracking: what was remembered is struck out.</param>
    /// <param name="takesOver">Whether another worker of the same attachment went before.</param>
    /// <param name="report">Receives what nobody waits for.</param>
    internal static TrackingStart Begin(FilterDirectory run, Disk origin, bool wanted, bool takesOver, Action<Exception> report)
    {
        StateDirectory state = StateDirectory.For(run.Name);
        try
        {
            if (!wanted)
            {
                state.Remove();
                return new TrackingStart(null, "the volume was attached with --no-track");
            }

            return Open(run, state, origin, takesOver);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            report(failure);
            return new TrackingStart(null, $"the tracking state in {state.Folder} can't be used: {failure.Message}");
        }
    }

    private static TrackingStart Open(FilterDirectory run, StateDirectory state, Disk origin, bool takesOver)
    {
        if (NativeFile.TryGetStatus(origin.Path) is not { } status || LiesOn(state, status))
        {
            return new TrackingStart(null, $"the tracking state would lie in {state.Folder}, on the very volume: a write would wait for itself (QUENCH_STATE_DIR puts it elsewhere)");
        }

        OriginFacts facts = OriginLook.At(origin.Path, origin.Geometry.Length);
        byte[][] slots = [StateDirectory.Content(state.Slot(0)), StateDirectory.Content(state.Slot(1))];
        TrackingRecovery recovery = TrackingRecovery.From(slots, StateDirectory.Content(state.Intents), state.ReadSeal(), facts, takesOver ? new HeldOrigin(WhyUntracked(run)) : null);
        StateFiles? medium = StateFiles.TryOpen(state, (long)ChangeTracker.PagesFor(facts.Length) * ChangeTracker.PageSize);
        if (medium is null)
        {
            return new TrackingStart(null, $"another worker uses the tracking state in {state.Folder}");
        }

        try
        {
            TrackingSession session = new(recovery.State ?? Guid.NewGuid(), Guid.NewGuid(), facts);
            bool isNew = slots.All(slot => slot.Length == 0);
            if (!isNew)
            {
                // What is not believed any more is struck out in both slots, so that no later accident brings it back.
                WriteTracker.WriteFirst(medium, FirstOf(session, recovery), bothSlots: recovery.Marks.Count == 0);
                File.Delete(state.Seal);
            }

            File.Delete(run.Untracked); // what it says is in the state now, or was about nothing
            ChangeTracker core = new(facts.Length, session.State, isNew ? 0 : recovery.Sequence + 1, recovery.Marks);
            return new TrackingStart(new WriteTracker(core, medium, session, recovery.Lost, new TrackingPace(), reason => NoteUntracked(run, reason)), null);
        }
        catch
        {
            medium.Dispose();
            throw;
        }
    }

    private static Checkpoint FirstOf(TrackingSession session, TrackingRecovery recovery) => new()
    {
        State = session.State,
        Sequence = recovery.Sequence + 1,
        VolumeLength = session.Origin.Length,
        Condition = CheckpointCondition.InUse,
        Identity = session.Origin.Identity ?? "",
        Stamp = "",
        Session = session.Session,
        BootId = session.Origin.BootId,
        Lost = recovery.Lost,
        Marks = recovery.Marks,
        Changed = new ChangeMap(session.Origin.Length),
    };

    private static string? WhyUntracked(FilterDirectory run) => File.Exists(run.Untracked) ? File.ReadAllText(run.Untracked) : null;

    /// <summary>Whether the state's folder, or what it would be made in, is on a file system on the origin.</summary>
    private static bool LiesOn(StateDirectory state, FileStatus origin)
    {
        string? folder = state.Folder;
        while (folder is not null && !Directory.Exists(folder))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder is not null && origin.Kind == FileKind.BlockDevice && NativeFile.TryGetStatus(folder)?.Device == origin.SpecialDevice;
    }

    /// <summary>Notes where nothing hangs that writes go untracked: whoever cleans up after the worker's death passes it on.</summary>
    private static void NoteUntracked(FilterDirectory run, string reason)
    {
        try
        {
            File.WriteAllText(run.Untracked, reason);
        }
        catch (IOException)
        {
            // The run folder is on memory; when even that fails, the revocation on the state's own disk is what is left.
        }

        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():O} change tracking was given up: {reason}"));
    }
}
