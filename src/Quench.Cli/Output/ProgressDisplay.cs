using Quench.Imaging.Activity;
using Spectre.Console;

namespace Quench.Cli.Output;

/// <summary>
/// Shows what a job says about itself while it runs: a bar on a terminal, a line every few seconds elsewhere, status lines with --json.
/// It starts when it is made and ends when it is disposed. Don't make one while a file system is frozen: its output may lie on it.
/// </summary>
internal sealed class ProgressDisplay : IAsyncDisposable
{
    private static readonly TimeSpan s_bar = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_told = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_json = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_line = TimeSpan.FromSeconds(5);

    private readonly CliHost _host;
    private readonly ActivityMonitor _activity;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _showing;

    public ProgressDisplay(CliHost host, ActivityMonitor activity, bool json)
    {
        _host = host;
        _activity = activity;
        _showing = json ? TickAsync(s_json, () => ProgressText.WriteJson(host.Output, activity.Read()))
            : host.ErrorIsTerminal ? BarAsync()
            : TickAsync(s_line, () => host.Error.WriteLine(ProgressText.Line(activity.Read())));
    }

    /// <summary>Gives the job's progress to somebody else instead, twice a second.</summary>
    public ProgressDisplay(CliHost host, ActivityMonitor activity, Action<Quench.Imaging.Activity.Progress> show)
    {
        _host = host;
        _activity = activity;
        _showing = TickAsync(s_told, () => show(activity.Read()));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _showing;
        _stop.Dispose();
    }

    private async Task TickAsync(TimeSpan interval, Action show)
    {
        using PeriodicTimer timer = new(interval, _host.Clock);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                show();
            }
        }
        catch (OperationCanceledException)
        {
            // disposed: the job is over and says the rest itself
        }
    }

    private Task BarAsync()
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(_host.Error) });
        return console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new FactsColumn(_activity))
            .StartAsync(async context =>
            {
                ProgressTask bar = context.AddTask("preparing", maxValue: 1);
                await TickAsync(s_bar, () => Show(bar, _activity.Read()));
            });
    }

    private static void Show(ProgressTask bar, Quench.Imaging.Activity.Progress progress)
    {
        bar.Description = ProgressText.Name(progress.Phase);
        bar.IsIndeterminate = progress.BytesTotal == 0;
        bar.Value = Math.Min(progress.Fraction, 0.999); // a full bar counts as finished and would stop moving
    }

    private sealed class FactsColumn(ActivityMonitor activity) : ProgressColumn
    {
        protected override bool NoWrap => true;

        public override Spectre.Console.Rendering.IRenderable Render(
            Spectre.Console.Rendering.RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(ProgressText.Facts(activity.Read()));
    }
}
