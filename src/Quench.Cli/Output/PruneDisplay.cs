using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>Says now and then how far a garbage collection is: a line, or a status line of JSON, at most one in a few seconds.</summary>
internal sealed class PruneDisplay(CliHost host, bool json) : IProgress<PruneProgress>
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);

    private long _last = host.Clock.GetTimestamp();

    public void Report(PruneProgress value)
    {
        if (host.Clock.GetElapsedTime(_last) < s_interval)
        {
            return;
        }

        _last = host.Clock.GetTimestamp();
        if (json)
        {
            JsonLine.WriteMessage(host.Output, "status", writer =>
            {
                writer.WriteString("phase", value.Phase);
                writer.WriteNumber("done", value.Done);
                writer.WriteNumber("total", value.Total);
            });
        }
        else
        {
            host.Error.WriteLine(value.Phase switch
            {
                "mark" => $"looking at what the points need: {value.Done} of {value.Total} points",
                "wait" => $"waiting for {value.Total} backups that have not ended",
                "repack" => $"writing packs anew: {value.Done} of {value.Total}",
                _ => $"deleting packs: {value.Done} of {value.Total}",
            });
        }
    }
}
