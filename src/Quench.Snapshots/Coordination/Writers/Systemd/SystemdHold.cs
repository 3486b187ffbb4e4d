using Quench.Snapshots.Coordination.Holds;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>One unit, frozen or stopped. Lives in the guard's process.</summary>
internal sealed class SystemdHold(Systemctl systemctl, string unit, UnitManner manner, TimeProvider clock) : IGuardedHold
{
    private static readonly TimeSpan s_callLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_again = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_letGoLimit = TimeSpan.FromMinutes(2);

    private UnitState? _before;
    private UnitCgroup? _watch;
    private bool _mayBeHeld; // from the moment that systemd is asked
    private bool _isOrdered; // a start

    /// <inheritdoc/>
    public async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        UnitState state = await systemctl.ShowAsync(unit, cancellationToken);
        if (manner == UnitManner.Freeze && state.IsActive)
        {
            using UnitCgroup watch = UnitCgroup.Watch(state["ControlGroup"]);
            _ = watch.IsFrozen() || watch.HasChanged();
        }
    }

    /// <inheritdoc/>
    public async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        UnitState before = _before = await systemctl.ShowAsync(unit, cancellationToken);
        if (before.IsInactive)
        {
            return; // nothing of it runs, and that it stays so is looked at in the end
        }

        if (!before.IsActive)
        {
            throw new WriterException(WriterError.Retryable, $"{unit} is {before["ActiveState"]}: nothing was held");
        }

        await (manner == UnitManner.Freeze ? FreezeAsync(before, cancellationToken) : StopAsync(cancellationToken));
    }

    /// <inheritdoc/>
    public async ValueTask<HoldAnswer> ConfirmAsync(CancellationToken cancellationToken)
    {
        if (_watch?.HasChanged() == true)
        {
            return HoldAnswer.Lost($"{unit} was thawed or ended by somebody else, if only for a moment");
        }

        UnitState before = _before!;
        UnitState now = await systemctl.ShowAsync(unit, cancellationToken);
        return _watch is not null
            ? now.IsFrozen && now.IsActive && now.IsSameRunAs(before) ? HoldAnswer.Held : HoldAnswer.Lost($"{unit} is no longer the run that was frozen")
            : now.IsInactive && (now["InvocationID"].Length == 0 || now["InvocationID"] == before["InvocationID"]) ? HoldAnswer.Held // systemd forgets what nobody wants any more
            : HoldAnswer.Lost($"{unit} was started by somebody else while it was to be stopped");
    }

    /// <inheritdoc/>
    public async ValueTask LetGoAsync()
    {
        if (!_mayBeHeld || _isOrdered)
        {
            return;
        }

        if (manner == UnitManner.Freeze)
        {
            await ThawAsync(systemctl, unit, _before!["ControlGroup"], clock);
        }
        else
        {
            await TryUntilAsync(token => OrderStartAsync(systemctl, unit, token), $"{unit} was stopped and could not be started again: start it with `systemctl start {unit}`", clock);
            _isOrdered = true;
            return;
        }

        _mayBeHeld = false;
    }

    /// <inheritdoc/>
    public async ValueTask SettleAsync()
    {
        if (_isOrdered)
        {
            await DemandStartedAsync(systemctl, unit, clock);
            _mayBeHeld = _isOrdered = false;
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _watch?.Dispose();
        return default;
    }

    /// <summary>Thaws a unit, and makes sure. The kernel is told first: production goes on then, and systemd's books follow.</summary>
    internal static async Task ThawAsync(Systemctl systemctl, string unit, string group, TimeProvider clock)
    {
        UnitCgroup.TryThaw(group);
        await TryUntilAsync(
            async token =>
            {
                try
                {
                    await systemctl.ThawAsync(unit, token);
                }
                catch (ServerRefusalException)
                {
                    // It has ended, or is in between: the next look tells.
                }

                UnitState now = await systemctl.ShowAsync(unit, token);
                return now.IsThawed || now.IsInactive;
            },
            $"{unit} may still be frozen: thaw it with `systemctl thaw {unit}`",
            clock);
    }

    /// <summary>Has a unit started, unless it is already.</summary>
    internal static async Task<bool> OrderStartAsync(Systemctl systemctl, string unit, CancellationToken cancellationToken)
    {
        await systemctl.OrderStartAsync(unit, cancellationToken);
        return true;
    }

    /// <summary>Waits until a unit runs.</summary>
    internal static async Task DemandStartedAsync(Systemctl systemctl, string unit, TimeProvider clock)
    {
        using CancellationTokenSource limit = new(s_letGoLimit, clock);
        try
        {
            await systemctl.StartAsync(unit, limit.Token); // joins the start that is under way
        }
        catch (Exception failure) when (failure is ServerRefusalException or IOException or OperationCanceledException)
        {
            throw new WriterException(WriterError.NonRetryable, $"{unit} was stopped and did not start again: `systemctl status {unit}` says why ({failure.Message})", failure);
        }
    }

    private async Task FreezeAsync(UnitState before, CancellationToken cancellationToken)
    {
        if (!before.IsThawed)
        {
            throw new WriterException(WriterError.NonRetryable, $"somebody else has frozen {unit}: it stays as it is");
        }

        UnitCgroup watch = _watch = UnitCgroup.Watch(before["ControlGroup"]);
        _mayBeHeld = true;
        await systemctl.FreezeAsync(unit, cancellationToken);
        if (!watch.IsFrozen())
        {
            throw new WriterException(WriterError.Retryable, $"systemd said that {unit} was frozen, and the kernel says that it is not");
        }
    }

    private async Task StopAsync(CancellationToken cancellationToken)
    {
        _mayBeHeld = true;
        await systemctl.StopAsync(unit, cancellationToken);
        UnitState now = await systemctl.ShowAsync(unit, cancellationToken);
        if (now["ActiveState"] != "inactive")
        {
            throw new WriterException(WriterError.NonRetryable, $"{unit} did not stop cleanly ({now["ActiveState"]}, {now["Result"]}): its own log says why");
        }
    }

    private static async Task TryUntilAsync(Func<CancellationToken, Task<bool>> isDoneAsync, string otherwise, TimeProvider clock)
    {
        long since = clock.GetTimestamp();
        while (true)
        {
            Exception? failure = null;
            try
            {
                using CancellationTokenSource limit = new(s_callLimit, clock);
                if (await isDoneAsync(limit.Token))
                {
                    return;
                }
            }
            catch (Exception trouble) when (trouble is ServerRefusalException or IOException or OperationCanceledException or TimeoutException)
            {
                failure = trouble;
            }

            if (clock.GetElapsedTime(since) >= s_letGoLimit)
            {
                throw new WriterException(WriterError.NonRetryable, failure is null ? otherwise : $"{otherwise} ({failure.Message})", failure);
            }

            await Task.Delay(s_again, clock, CancellationToken.None);
        }
    }
}
