using System.Globalization;
using Quench.Snapshots.Coordination;

namespace Quench.SystemTests;

/// <summary>A process that freezes a file system as a requestor does, and then never thaws it: it waits to be killed.</summary>
internal static class FreezeHolder
{
    internal const string CommandName = "freeze-and-hold";

    internal static async Task<int> RunAsync(string mountPoint, string limitMilliseconds)
    {
        TimeSpan limit = TimeSpan.FromMilliseconds(double.Parse(limitMilliseconds, CultureInfo.InvariantCulture));
        using ThawGuard guard = await ThawGuard.StartAsync(mountPoint, CancellationToken.None);
        using Stream output = Console.OpenStandardOutput();
        using FrozenFileSystem frozen = FrozenFileSystem.Freeze(mountPoint, guard, limit);
        output.WriteByte((byte)'F');
        output.Flush();
        await Task.Delay(Timeout.InfiniteTimeSpan);
        return 0;
    }
}
