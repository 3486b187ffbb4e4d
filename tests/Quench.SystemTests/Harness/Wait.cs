using System.Diagnostics;

namespace Quench.SystemTests.Harness;

/// <summary>Waiting for something that the kernel or another process does and announces to nobody.</summary>
internal static class Wait
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(2);

    /// <summary>Looks again and again until it is so.</summary>
    /// <exception cref="TimeoutException">It was not so within the limit.</exception>
    internal static async Task UntilAsync(Func<bool> isSo, TimeSpan limit, string what)
    {
        long since = Stopwatch.GetTimestamp();
        using PeriodicTimer look = new(s_look);
        while (!isSo())
        {
            if (Stopwatch.GetElapsedTime(since) > limit)
            {
                throw new TimeoutException($"{what}: not so after {limit.TotalSeconds:0.#} s");
            }

            await look.WaitForNextTickAsync();
        }
    }
}
