using System.Globalization;
using Quench.Snapshots.Coordination;

namespace Quench.SystemTests.Writers;

/// <summary>A process that freezes all writers of a volume as a coordinator does, and then waits to be killed; told a line, it thaws them and says what they answered.</summary>
internal static class WriterHolder
{
    internal const string CommandName = "hold-writers";

    /// <summary>A hold longer than anybody waits: what ends early does so because the process has ended.</summary>
    internal static readonly TimeSpan LongestHold = TimeSpan.FromSeconds(50);

    /// <summary>The words that start it.</summary>
    internal static IEnumerable<string> Words(string mountPoint, TimeSpan limit, params IEnumerable<(string Name, string Value)> settings) =>
        [CommandName, mountPoint, limit.TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture), .. settings.Select(setting => $"{setting.Name}={setting.Value}")];

    internal static async Task<int> RunAsync(string mountPoint, string limitMilliseconds, string[] settings)
    {
        TimeSpan limit = TimeSpan.FromMilliseconds(double.Parse(limitMilliseconds, CultureInfo.InvariantCulture));
        await using WriterDrive drive = await WriterDrive.FindAsync(mountPoint, settings.Select(setting => setting.Split('=', 2)).Select(pair => (pair[0], pair[1])));
        Console.Out.WriteLine("begins");
        await drive.FreezeAsync(mountPoint, limit);
        Console.Out.WriteLine("holds");
        if (await Console.In.ReadLineAsync() is null)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan);
        }

        foreach ((string writer, HoldAnswer answer) in await drive.ThawAsync())
        {
            Console.Out.WriteLine(answer.IsHeld ? $"held: {writer}" : $"lost: {writer}: {answer.Reason}");
        }

        return 0;
    }
}
