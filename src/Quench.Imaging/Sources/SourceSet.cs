using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Tracked;

namespace Quench.Imaging.Sources;

/// <summary>What a backup images: one source held at its instant, or several on their way to the same one. Disposing lets go of all of it.</summary>
public sealed class SourceSet : IAsyncDisposable
{
    private SourceSet(IConvergingSet? set, IReadOnlyList<SourceMoment> moments) => (Set, Moments) = (set, moments);

    /// <summary>What holds several together that are on their way; null for those that are at their instant already, or for one.</summary>
    public IConvergingSet? Set { get; }

    /// <summary>The sources, in the order in which they were named. Disposed with this.</summary>
    public IReadOnlyList<SourceMoment> Moments { get; }

    /// <summary>Refuses sources that can't be imaged at one instant.</summary>
    /// <exception cref="QuenchException">SRC-105 (exit code 2): two of them are the same, or they are not all attached through Quench, nor all mounted devices that are not.</exception>
    public static void DemandOneInstant(IReadOnlyList<ImagingSource> sources)
    {
        if (sources.Count < 2)
        {
            return;
        }

        if (sources.All(source => source is AttachedSource))
        {
            if (sources.GroupBy(source => source.Name).FirstOrDefault(group => group.Count() > 1) is { } again)
            {
                throw Refused($"{again.Key} is named twice");
            }

            return;
        }

        if (sources.FirstOrDefault(source => source is not MountedSource) is { } other)
        {
            throw Refused($"{other.Name} is {(other is AttachedSource ? "attached through Quench and others are not" : "not mounted")}; attached volumes can be imaged together, and so can mounted devices that are not attached");
        }

        IEnumerable<MountedVolume> volumes = sources.Cast<MountedSource>().Select(source => source.Volume);
        if (volumes.SelectMany(volume => volume.MountPoints.Distinct()).GroupBy(mountPoint => mountPoint).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw Refused($"what is mounted at {twice.Key} is named twice");
        }
    }

    /// <summary>Takes their instant, or begins the way to it, and looks at what is on them.</summary>
    /// <param name="sources">One, or several that passed <see cref="DemandOneInstant"/>.</param>
    /// <param name="options">How volumes in use are held.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up and lets go.</param>
    /// <exception cref="QuenchException">What the provider throws; nothing is held then.</exception>
    public static async Task<SourceSet> TakeAsync(IReadOnlyList<ImagingSource> sources, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        if (sources.Count == 1)
        {
            return new SourceSet(null, [await SourceMoment.TakeAsync(sources[0], options, clock, cancellationToken)]);
        }

        if (sources[0] is AttachedSource)
        {
            return new SourceSet(null, await SourceMoment.TakeSetAsync([.. sources.Cast<AttachedSource>().Select(source => source.Volume)], options, clock, cancellationToken));
        }

        MountedVolume[] volumes = [.. sources.Cast<MountedSource>().Select(source => source.Volume)];
        IConvergingSet set = await TrackedProvider.StartSetAsync(volumes, SourceMoment.ToTracked(options), clock);
        try
        {
            List<SourceMoment> moments = [];
            foreach (IConvergingSnapshot member in set.Members)
            {
                moments.Add(await SourceMoment.LookAsync(member, cancellationToken));
            }

            return new SourceSet(set, moments);
        }
        catch
        {
            await set.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Set is { } set)
        {
            await set.DisposeAsync();
            return;
        }

        foreach (SourceMoment moment in Moments)
        {
            await moment.DisposeAsync();
        }
    }

    private static QuenchException Refused(string why) =>
        new("SRC-105", $"these volumes can't be imaged at one instant: {why}", "image them one by one, or attach all of them")
        {
            Effect = "nothing was read or written",
            ExitCode = 2,
        };
}
