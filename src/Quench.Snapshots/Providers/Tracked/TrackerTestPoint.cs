#if DEBUG
using System.Globalization;
#endif

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// What tests make of a tracker in a whole process, which the kernel can't be made to do at will: QUENCH_TEST_TRACKER is "missed", "dropped", "silent" or "unheard" (a write at both of its ends, or its landing), a colon, and the number of the harvest at which it
/// comes. Debug builds only; in release builds nothing is left of it.
/// </summary>
internal static class TrackerTestPoint
{
#if DEBUG
    private static int s_harvests;

    /// <summary>Missed runs that are counted beside the kernel's own.</summary>
    internal static long Misses { get; private set; }

    /// <summary>Called at each harvest of a backup's tracker.</summary>
    internal static void Reach(TrackerWatch watch)
    {
        string[] words = (Environment.GetEnvironmentVariable("QUENCH_TEST_TRACKER") ?? "").Split(':');
        if (words.Length == 2 && ++s_harvests == int.Parse(words[1], CultureInfo.InvariantCulture))
        {
            Make(words[0], watch);
        }
    }

    private static void Make(string what, TrackerWatch watch)
    {
        switch (what)
        {
            case "dropped":
                watch.Detach();
                break;
            case "silent":
                watch.Maps.Unhear(TrackerLocal.LandedBytes, 1 << 20);
                watch.Maps.Unhear(TrackerLocal.QueuedBytes, 1 << 20);
                break;
            case "unheard":
                watch.Maps.Unhear(TrackerLocal.LandedBytes, 1 << 20);
                break;
            default:
                Misses += 3;
                break;
        }
    }
#else
    internal static long Misses => 0;

    internal static void Reach(TrackerWatch watch)
    {
    }
#endif
}
