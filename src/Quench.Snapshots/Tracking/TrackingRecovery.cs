namespace Quench.Snapshots.Tracking;

/// <summary>The origin has not been out of our hands since the last worker: the holder has had it open and claimed all the time.</summary>
/// <param name="Lost">Why that worker had given tracking up; null when it had not.</param>
internal sealed record HeldOrigin(string? Lost);

/// <summary>What an attachment may believe of what the last one left.</summary>
/// <param name="Marks">What is known, brought up to now; empty when nothing is.</param>
/// <param name="State">The state file's id; null when a new one is to be made.</param>
/// <param name="Sequence">The highest sequence number on the medium.</param>
/// <param name="Lost">Why there are no marks although there were; empty when there were none.</param>
internal sealed record TrackingRecovery(IReadOnlyList<VolumeMark> Marks, Guid? State, long Sequence, string Lost)
{
    /// <summary>Judges what was found. Whatever is not proved is not believed.</summary>
    /// <param name="slots">The two slots' bytes; empty where there is none.</param>
    /// <param name="intents">The write-intent map's file.</param>
    /// <param name="seal">What `quench detach` left after a worker's death; null when nothing.</param>
    /// <param name="now">The origin as it is.</param>
    /// <param name="held">Given when this worker takes over from another one of the same attachment.</param>
    internal static TrackingRecovery From(IReadOnlyList<byte[]> slots, ReadOnlySpan<byte> intents, OriginSeal? seal, OriginFacts now, HeldOrigin? held = null)
    {
        Checkpoint?[] found = [.. slots.Select(slot => Checkpoint.TryDecode(slot))];
        Checkpoint? best = found.OfType<Checkpoint>().MaxBy(checkpoint => checkpoint.Sequence);
        if (best is null)
        {
            return Nothing(0, slots.All(slot => slot.Length == 0) ? "" : "the state file is damaged");
        }

        if (best.Condition == CheckpointCondition.Revoked || (best.Marks.Count == 0 && best.Lost.Length > 0))
        {
            return Nothing(best.Sequence, best.Lost);
        }

        if (WhyNotToBelieve(best, seal, now, held) is { } reason)
        {
            return Nothing(best.Sequence, reason);
        }

        return TryReadIntents(best, intents, out ulong[] doubtful)
            ? new TrackingRecovery([.. best.Marks.Select(mark => BroughtUp(mark, best, doubtful))], best.State, best.Sequence, best.Lost)
            : Nothing(best.Sequence, "the newest checkpoint of the state file is damaged");
    }

    private static TrackingRecovery Nothing(long sequence, string lost) => new([], null, sequence, lost);

    private static string? WhyNotToBelieve(Checkpoint last, OriginSeal? seal, OriginFacts now, HeldOrigin? held)
    {
        if (last.VolumeLength != now.Length)
        {
            return "the volume's size changed while it was detached";
        }

        if (now.Identity is null || last.Identity != now.Identity)
        {
            return "another origin was attached under this name before, or it can't be recognised";
        }

        if (held is not null)
        {
            return held.Lost;
        }

        return last.Condition == CheckpointCondition.Clean
            ? WhenStampDiffers(last.Stamp, now.Stamp)
            : AfterCrash(last, seal is not null && seal.Session == last.Session ? seal : null, now);
    }

    private static string? AfterCrash(Checkpoint last, OriginSeal? seal, OriginFacts now)
    {
        if (seal is not null)
        {
            return seal.Lost ?? WhenStampDiffers(seal.Stamp, now.Stamp);
        }

        if (last.BootId == now.BootId)
        {
            return "the worker died, and nobody noted the origin's state with `quench detach`";
        }

        return now.IsUntouchedSinceBoot ? null : "the machine stopped while the volume was attached, and the origin was written since it started again";
    }

    private static string? WhenStampDiffers(string? then, string? now) =>
        string.IsNullOrEmpty(then) || now is null
            ? "this machine can't tell whether the origin was written while it was detached"
            : then == now ? null : "the origin was written while it was detached, or the machine was started anew";

    /// <summary>The regions whose intents are set; none after a detach in order. A damaged sector makes all of its regions doubtful.</summary>
    /// <returns>False when the map has let go of intents on the strength of a newer checkpoint than the one that was found.</returns>
    private static bool TryReadIntents(Checkpoint last, ReadOnlySpan<byte> intents, out ulong[] doubtful)
    {
        int regions = ChangeMap.RegionsIn(last.VolumeLength);
        doubtful = new ulong[(regions + 63) / 64];
        bool crashed = last.Condition == CheckpointCondition.InUse;
        for (int sector = 0; sector < IntentSector.SectorsFor(regions); sector++)
        {
            int firstWord = sector * IntentSector.Words;
            Span<ulong> bits = doubtful.AsSpan(firstWord, Math.Min(IntentSector.Words, doubtful.Length - firstWord));
            int at = sector * IntentSector.Size;
            if (at + IntentSector.Size > intents.Length
                || !IntentSector.TryDecode(intents.Slice(at, IntentSector.Size), sector, last.State, bits, out long basis))
            {
                bits.Fill(ulong.MaxValue);
            }
            else if (basis > last.Sequence)
            {
                return false;
            }

            if (!crashed)
            {
                bits.Clear();
            }
        }

        int beyond = (doubtful.Length * 64) - regions;
        doubtful[^1] &= ulong.MaxValue >> beyond;
        return true;
    }

    private static VolumeMark BroughtUp(VolumeMark mark, Checkpoint last, ulong[] doubtful)
    {
        mark.Changed.UnionWith(last.Changed);
        if (doubtful.Any(word => word != 0) || mark.Doubtful is not null)
        {
            ulong[] both = mark.Doubtful ?? new ulong[doubtful.Length];
            for (int word = 0; word < both.Length; word++)
            {
                both[word] |= doubtful[word];
            }

            mark.Doubtful = both;
        }

        return mark;
    }
}
