namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>
/// The units that the setting <c>systemd.units</c> names, separated by commas. Nobody else's: an application that is frozen or stopped does not answer, and whether that matters only its
/// administrator knows.
/// </summary>
/// <param name="systemctl">The way to the service manager.</param>
internal sealed class SystemdSource(Systemctl systemctl) : IWriterSource
{
    private static readonly Guid s_id = new("0c1f5a52-6b1e-4d3c-9a57-6f3f1d7f0a05");

    /// <summary>With this machine's own.</summary>
    internal SystemdSource()
        : this(new Systemctl())
    {
    }

    /// <inheritdoc/>
    public string Name => SystemdWriter.SourceName;

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken)
    {
        string[] units = [.. (search.Settings.Find(Name, "units") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct()];
        if (units.Length == 0 || !systemctl.IsHere)
        {
            return [];
        }

        List<IWriter> found = [];
        foreach (string unit in units)
        {
            if (!UnitName.IsValid(unit))
            {
                throw new WriterException(WriterError.NonRetryable, $"{Name}.units names services and scopes, such as app.service; this is none of them: {unit}");
            }

            UnitManner manner = MannerOf(unit, search.Settings);
            IReadOnlyList<string> folders = await FoldersOfAsync(unit, search.Settings, cancellationToken);
            if (folders.Count == 0 || folders.Any(search.Holds))
            {
                found.Add(new SystemdWriter(new WriterIdentity(s_id, WriterIdentity.InstanceIdOf(s_id, unit), Name, unit), systemctl, unit, manner, folders, search.Clock));
            }
        }

        return found;
    }

    private UnitManner MannerOf(string unit, WriterSettings settings) => (settings.Find(Name, $"manner.{unit}") ?? settings.Find(Name, "manner") ?? "freeze") switch
    {
        "freeze" => UnitManner.Freeze,
        "stop" => UnitManner.Stop,
        string other => throw new WriterException(WriterError.NonRetryable, $"{Name}.manner is freeze or stop, and not {other}"),
    };

    private async ValueTask<IReadOnlyList<string>> FoldersOfAsync(string unit, WriterSettings settings, CancellationToken cancellationToken) =>
        settings.Find(Name, $"folders.{unit}") is { } named
            ? [.. named.Split(':', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)]
            : (await systemctl.ShowAsync(unit, cancellationToken)).StateFolders;
}
