namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>A unit that its administrator named: its processes are frozen over the instant, or it is stopped before it and started after it.</summary>
internal sealed class SystemdWriter(WriterIdentity identity, Systemctl systemctl, string unit, UnitManner manner, IReadOnlyList<string> folders, TimeProvider clock) : GuardedWriter(identity, clock)
{
    internal const string SourceName = "systemd";

    private static readonly TimeSpan s_restoreLimit = TimeSpan.FromMinutes(2);

    private UnitState? _before; // as it was when everything began
    private bool _isStoppedForRestore;

    /// <inheritdoc/>
    protected override IReadOnlyList<string> Words => [SourceName, manner == UnitManner.Freeze ? "freeze" : "stop", unit];

    /// <inheritdoc/>
    protected override async ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken)
    {
        UnitState state = await systemctl.ShowAsync(unit, cancellationToken);
        return new WriterMetadata
        {
            Level = FreezeLevel.System,
            Method = MethodOf(state),
            Components = folders.Count > 0
                ? [new WriterComponent
                {
                    Name = unit,
                    Caption = $"the files of {unit}",
                    Kind = ComponentKind.FileGroup,
                    Files = [.. folders.Select(folder => new ComponentFiles(folder))],
                    RestoreNote = "The unit must be stopped while its files are put back.",
                }]
                : throw new WriterException(WriterError.NonRetryable, $"nothing says where {unit} keeps its data: name its folders with {SourceName}.folders.{unit}=/path"),
            CannotHold = await WhyNotAsync(state, cancellationToken),
        };
    }

    /// <inheritdoc/>
    protected override async ValueTask ApproachAsync(CancellationToken cancellationToken)
    {
        _before = await systemctl.ShowAsync(unit, cancellationToken);
        await base.ApproachAsync(cancellationToken);
    }

    /// <inheritdoc/>
    protected override async Task LetGoWithoutGuardAsync()
    {
        if (_before is not { IsActive: true } before)
        {
            return; // it did not run: there was nothing to hold
        }

        if (manner == UnitManner.Freeze)
        {
            await SystemdHold.ThawAsync(systemctl, unit, before["ControlGroup"], Clock);
        }
        else
        {
            await SystemdHold.DemandStartedAsync(systemctl, unit, Clock);
        }
    }

    /// <inheritdoc/>
    protected override string? WhyNotReplace(RestoreOperation operation) => null; // it is stopped

    /// <inheritdoc/>
    public override async ValueTask PreRestoreAsync(RestoreOperation operation, CancellationToken cancellationToken)
    {
        UnitState state = await systemctl.ShowAsync(unit, cancellationToken);
        if (operation.Target == "/" && !state.IsInactive)
        {
            _isStoppedForRestore = true;
            await systemctl.StopAsync(unit, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask PostRestoreAsync(RestoreOperation operation, bool succeeded, CancellationToken cancellationToken)
    {
        if (!_isStoppedForRestore)
        {
            return;
        }

        if (!succeeded)
        {
            throw new WriterException(WriterError.NonRetryable, $"{unit} stays stopped, because its files are not all back: restore them, then `systemctl start {unit}`");
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_restoreLimit);
        await systemctl.StartAsync(unit, limit.Token);
        _isStoppedForRestore = false;
    }

    private string MethodOf(UnitState state) =>
        state.IsInactive ? "the unit does not run, and that it was not started is looked at after the instant; a restored copy is what it left when it ended"
        : manner == UnitManner.Freeze ? "the unit's processes are frozen between two system calls; what they had not written yet is not in a restored copy, which they find as after a crash of the application alone"
        : "the unit is stopped before the instant and started after it; a restored copy is what it left when it ended";

    private async ValueTask<string?> WhyNotAsync(UnitState state, CancellationToken cancellationToken)
    {
        if (!state.IsKnown)
        {
            return $"systemd knows no unit {unit} ({state["LoadState"]})";
        }

        if (UnitName.IsUntouchable(unit))
        {
            return $"the machine itself needs {unit}";
        }

        if (state["ControlGroup"] is { Length: > 0 } group && UnitCgroup.WhyItIsOurs(group) is { } ours)
        {
            return $"{unit} can't be held: {ours}";
        }

        return manner == UnitManner.Freeze ? WhyNotFreeze(state) : await WhyNotStopAsync(state, cancellationToken);
    }

    private string? WhyNotFreeze(UnitState state) =>
        state["FreezerState"].Length == 0 || state["CanFreeze"] != "yes" ? $"systemd can't freeze {unit}: it takes version 246, and a unit with processes of its own; {SourceName}.manner=stop stops it instead"
        : state.IsActive && !UnitCgroup.CanFreeze(state["ControlGroup"]) ? $"the kernel can't freeze {unit}: it takes control groups of the second version; {SourceName}.manner=stop stops it instead"
        : !state.IsThawed ? $"somebody else has frozen {unit}"
        : null;

    /// <summary>What is stopped with it would not be started with it.</summary>
    private async ValueTask<string?> WhyNotStopAsync(UnitState state, CancellationToken cancellationToken)
    {
        if (UnitName.IsScope(unit) || state["CanStart"] != "yes" || state["CanStop"] != "yes")
        {
            return $"{unit} can't be stopped and started again by systemd alone";
        }

        foreach (string other in state.StoppedWithIt)
        {
            if (!(await systemctl.ShowAsync(other, cancellationToken)).IsInactive)
            {
                return $"{other} would be stopped with {unit}, and not be started with it: freeze it instead, or name {other} if that stops this one";
            }
        }

        return null;
    }
}
