using System.Globalization;
using Xunit;

namespace Quench.SystemTests.Harness;

/// <summary>`quench serve` while it serves. Disposing ends it as a service manager would (a shell in the background has its children ignore interrupts).</summary>
internal sealed class NbdServing : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly ProcessRun _run;

    private NbdServing(ProcessRun run) => _run = run;

    internal int ProcessId => _run.Id;

    /// <summary>The address of what is served without a name at a socket.</summary>
    internal static string UriOf(string socket) => $"nbd+unix:///?socket={socket}";

    /// <summary>Starts a server and waits until it can be reached.</summary>
    /// <param name="cli">The program.</param>
    /// <param name="socket">Where it shall listen.</param>
    /// <param name="arguments">What it shall serve: "volume NAME", "point POINT"….</param>
    internal static async Task<NbdServing> StartAsync(QuenchCli cli, string socket, params string[] arguments)
    {
        ProcessRun run = cli.Start(["serve", .. arguments, "--socket", socket]);
        await Wait.UntilAsync(() => File.Exists(socket) || run.HasExited, s_limit, "the server listens");
        if (run.HasExited)
        {
            using (run)
            {
                Assert.Fail((await run.EndAsync(s_limit)).ToString());
            }
        }

        return new NbdServing(run);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using (_run)
        {
            await Tool.RunAsync("kill", "-TERM", _run.Id.ToString(CultureInfo.InvariantCulture));
            ProcessResult end = await _run.EndAsync(s_limit);
            Assert.True(end.ExitCode == 0, end.ToString());
        }
    }
}
