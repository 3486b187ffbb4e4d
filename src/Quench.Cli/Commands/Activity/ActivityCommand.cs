using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;

namespace Quench.Cli.Commands.Activity;

/// <summary>quench activity: who writes what to a volume.</summary>
internal static class ActivityCommand
{
    public static Command Make(CliHost host)
    {
        ActivityOptions options = new();
        Command command = new("activity", HelpText.Of("activity"));
        options.AddTo(command);
        command.Run(host, async (parsed, cancellationToken) =>
        {
            ActivityChoice choice = options.Read(parsed);
            ActivityTally tally = new([.. choice.BackupLengths]);
            string? leftOver = null;
            if (choice.From is { } log)
            {
                leftOver = ReadLog(log, tally);
            }
            else
            {
                await WatchAsync(host, choice, tally, cancellationToken);
            }

            Tell(host, choice, tally.Summarise(host.Clock.LocalTimeZone), leftOver);
            return ExitCodes.Done;
        });
        return command;
    }

    /// <summary>Watches until the time is over or a signal comes, which is no failure: what was heard by then is told.</summary>
    private static async Task WatchAsync(CliHost host, ActivityChoice choice, ActivityTally tally, CancellationToken cancellationToken)
    {
        Privilege.Demand(host, "watch who writes to a volume");
        WatchedVolume volume = WatchedVolume.Find(choice.Volume!);
        using ActivityLogWriter? log = choice.Log is { } path ? ActivityLogWriter.Open(path, volume.Device) : null;
        using WriteWatch watch = WriteWatch.Start(volume, new WriteWatchOptions(), host.Clock);
        List<IActivitySink> sinks = [tally];
        if (log is not null)
        {
            sinks.Add(log);
        }

        if (choice.IsLive)
        {
            sinks.Add(choice.IsJson ? new LiveWritesJson(host.Output) : new LiveWrites(host.Output, host.Clock.LocalTimeZone));
        }

        string end = choice.For is { } time ? $"for {ProgressText.Span(time)}; Ctrl-C ends it earlier" : "until Ctrl-C";
        host.Error.WriteLine($"watching {volume.Device} {end}");
        await WriteCollector.RunAsync(watch, choice.For, sinks, host.Clock, cancellationToken);
    }

    /// <summary>Reads a log.</summary>
    /// <returns>What is to be said of its end; null when it is complete.</returns>
    private static string? ReadLog(string path, ActivityTally tally)
    {
        LogEnd end = ActivityLogReader.Read(path, tally);
        return end switch
        {
            { Session: null } => throw new QuenchException("ACT-106", $"{path} has no watch in it yet", "record one with `quench activity VOLUME --log FILE`") { Effect = "nothing was touched" },
            { LeftOver: > 0, IsTorn: true } => $"the log's last {ByteSize.Format(end.LeftOver)} are no complete entry, as a process that was killed leaves it, and were not read",
            { LeftOver: > 0 } => $"the log is damaged: its last {ByteSize.Format(end.LeftOver)} were not read",
            _ => null,
        };
    }

    private static void Tell(CliHost host, ActivityChoice choice, ActivitySummary summary, string? leftOver)
    {
        if (choice.IsJson)
        {
            ActivityJson.Write(host.Output, summary);
        }
        else
        {
            new ActivityText(summary, host.Clock.LocalTimeZone, choice.Top).WriteTo(host.Output);
        }

        if (leftOver is not null)
        {
            host.Error.WriteLine($"WARNING {leftOver}");
        }

        if (choice.Picture is { } picture)
        {
            using StreamWriter file = new(new FileStream(picture, FileMode.CreateNew));
            new ActivityPicture(summary, host.Clock.LocalTimeZone).WriteTo(file);
        }
    }
}
