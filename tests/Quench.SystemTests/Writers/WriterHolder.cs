namespace Quench.SystemTests.Writers;

/// <summary>A process that freezes all writers of a volume as a coordinator does, and then never thaws them: it waits to be killed.</summary>
internal static class WriterHolder
{
    internal const string CommandName = "hold-writers";

    /// <summary>A hold longer than anybody waits: what ends early does so because the process has ended.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(50);

    internal static async Task<int> RunAsync(string mountPoint, string databases)
    {
        await using WriterDrive drive = await WriterDrive.FindAsync(mountPoint, ("sqlite.databases", databases));
        Console.Out.WriteLine("begins");
        await drive.FreezeAsync(mountPoint, s_limit);
        Console.Out.WriteLine("holds");
        await Task.Delay(Timeout.InfiniteTimeSpan);
        return 0;
    }
}
