using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Holds;

namespace Quench.Tests.Snapshots.Coordination.Holds;

/// <summary>A hold of one flag that remembers what was done to it.</summary>
internal sealed class ModelHold : IGuardedHold
{
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal List<string> Calls { get; } = [];

    internal bool IsHeld { get; private set; }

    /// <summary>Completes when it has been asked to hold.</summary>
    internal Task Asked => _asked.Task;

    internal Func<CancellationToken, Task> Preparing { get; init; } = _ => Task.CompletedTask;

    internal Func<CancellationToken, Task> Holding { get; init; } = _ => Task.CompletedTask;

    internal Func<CancellationToken, Task<HoldAnswer>> Confirming { get; init; } = _ => Task.FromResult(HoldAnswer.Held);

    internal Func<Task> LettingGo { get; init; } = () => Task.CompletedTask;

    internal Func<Task> Settling { get; init; } = () => Task.CompletedTask;

    public async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        Calls.Add("prepare");
        await Preparing(cancellationToken);
    }

    public async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        Calls.Add("hold");
        IsHeld = true; // from the moment that somebody is asked
        _asked.TrySetResult();
        await Holding(cancellationToken);
    }

    public async ValueTask<HoldAnswer> ConfirmAsync(CancellationToken cancellationToken)
    {
        Calls.Add("confirm");
        return await Confirming(cancellationToken);
    }

    public async ValueTask LetGoAsync()
    {
        Calls.Add("let go");
        await LettingGo();
        IsHeld = false;
    }

    public async ValueTask SettleAsync()
    {
        Calls.Add("settle");
        await Settling();
    }

    public ValueTask DisposeAsync() => default;
}
